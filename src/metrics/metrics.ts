import { AggregatorRegistry, collectDefaultMetrics } from "prom-client";
import type { Clock } from "../clock.ts";
import {
  type ActOutcome,
  type CacheName,
  cacheNames,
  type EndedRequest,
  type HealthFact,
  type ItemOutcomes,
  type JobRows,
  type KekOperation,
  type KeyFacts,
  type MetricsCollector,
  type MetricsSource,
} from "../observer.ts";
import type { DurationSeries } from "./durations.ts";
import { Fresh } from "./fresh.ts";
import { Instruments } from "./instruments.ts";
import { setKeyFacts } from "./key-gauges.ts";
import { known } from "./known-values.ts";

const millisecondsPerSecond = 1_000;
const noOutcomes: ItemOutcomes = { allowed: 0, denied: 0, failed: 0 };

/** The numbers of one process, as they are sent to another. */
export type MetricsSnapshot = readonly object[];

/** Gives the numbers of every process, one's own included. */
export type Gather = (own: MetricsSnapshot) => Promise<readonly MetricsSnapshot[]>;

/** What was counted of one action: its outcomes since the counter was told of them last. */
interface ActNumbers {
  readonly durations: DurationSeries;
  readonly outcomes: Record<ActOutcome, number>;
}

/** How metrics are made. */
export interface MetricsOptions {
  readonly version: string;
  readonly clock: Clock;
  /** True: numbers about keys say whose they are. */
  readonly names?: boolean;
}

/**
 * The metrics of one process, in a registry of their own. Labels have values of fixed sets (`labels` of the definitions), so that nobody who
 * calls makes further ones: anything else is `other`.
 *
 * @example
 * const metrics = new Metrics({ version: "1.0.0", clock: systemClock });
 * const keystead = await openKeystead({ ...options, metrics });
 * await metrics.read();
 */
export class Metrics implements MetricsCollector {
  readonly #instruments = new Instruments();
  readonly #clock: Clock;
  readonly #names: boolean;
  readonly #sources: MetricsSource[] = [];
  /** Totals of caches, as they were added last. */
  readonly #added = new Map<string, number>();
  /** By action. */
  readonly #acts = new Map<string, ActNumbers>();
  /** By route, and in it by method and class of status. */
  readonly #requests = new Map<string, Map<string, DurationSeries[]>>();
  #underWay = 0;
  #keys: Fresh<KeyFacts> | undefined;
  #health: Fresh<readonly HealthFact[]> | undefined;
  #gather: Gather = async (own) => [own];

  constructor({ version, clock, names = false }: MetricsOptions) {
    this.#clock = clock;
    this.#names = names;
    collectDefaultMetrics({ register: this.#instruments.registry });
    this.#instruments.gauge("keystead_info").set({ version }, 1);
    this.#instruments.gauge("keystead_workers").set(1);
  }

  /** {@link MetricsCollector.attach} */
  attach(source: MetricsSource): void {
    this.#sources.push(source);
    if (source.keys !== undefined) this.#keys = new Fresh(source.keys, this.#clock);
    if (source.health !== undefined) this.#health = new Fresh(source.health, this.#clock);
  }

  /** From now on {@link read} adds the numbers of other processes. */
  gatherBy(gather: Gather): void {
    this.#gather = gather;
  }

  /** {@link MetricsCollector.read} */
  async read(): Promise<string> {
    return AggregatorRegistry.aggregate([...(await this.#gather(await this.collect()))].map((one) => [...one])).metrics();
  }

  /** The numbers of this process now. Waits for the store for a second at most. */
  async collect(): Promise<MetricsSnapshot> {
    await Promise.all([this.#lookAtKeys(), this.#lookAtHealth()]);
    for (const { caches = {}, auditLag } of this.#sources) {
      for (const cache of cacheNames) {
        const { hits = 0, misses = 0 } = caches[cache] ?? {};
        this.#addUpTo(cache, "hit", hits);
        this.#addUpTo(cache, "miss", misses);
      }
      if (auditLag !== undefined) this.#instruments.gauge("keystead_audit_lag_records").set(auditLag());
    }
    for (const [action, { outcomes }] of this.#acts) {
      this.#count("keystead_operations_total", action, outcomes);
      Object.assign(outcomes, noOutcomes);
    }
    this.#instruments.gauge("keystead_http_requests_in_flight").set(this.#underWay);
    return this.#instruments.read();
  }

  /** {@link Observer.actEnded} */
  actEnded(action: string, outcome: ActOutcome, milliseconds: number): void {
    const act = this.#actOf(action);
    act.outcomes[outcome] += 1;
    act.durations.observe(milliseconds / millisecondsPerSecond);
  }

  /** {@link Observer.items} */
  items(action: string, outcomes: ItemOutcomes): void {
    this.#count("keystead_batch_items_total", known("action", action), outcomes);
  }

  /** {@link Observer.kekCall} */
  async kekCall<T>(operation: KekOperation, work: () => Promise<T>): Promise<T> {
    const begun = this.#clock.monotonic();
    let result = "failed";
    try {
      const answer = await work();
      result = "done";
      return answer;
    } finally {
      this.#instruments.counter("keystead_kek_calls_total").inc({ operation, result });
      this.#instruments.histogram("keystead_kek_call_duration_seconds").series({ operation }).observe(this.#secondsSince(begun));
    }
  }

  /** {@link Observer.jobRows} */
  jobRows({ kind, source, read, replaced, changed, problems }: JobRows): void {
    const counter = this.#instruments.counter("keystead_job_rows_total");
    const place = { kind: known("kind", kind), source: known("source", source === "postgresql" ? "postgres" : source) };
    for (const [rows, count] of Object.entries({ read, replaced, changed, problem: problems }))
      if (count > 0) counter.inc({ ...place, rows }, count);
  }

  /** {@link RequestObserver.requestBegan} */
  requestBegan(): void {
    this.#underWay += 1;
  }

  /** {@link RequestObserver.requestEnded} */
  requestEnded({ method, route, status }: EndedRequest, milliseconds: number): void {
    this.#underWay -= 1;
    this.#requestsOf(method, route, Math.floor(status / 100)).observe(milliseconds / millisecondsPerSecond);
  }

  #actOf(action: string): ActNumbers {
    const name = known("action", action);
    const found = this.#acts.get(name);
    if (found !== undefined) return found;
    const durations = this.#instruments.histogram("keystead_operation_duration_seconds").series({ action: name });
    const made = { durations, outcomes: { ...noOutcomes } };
    this.#acts.set(name, made);
    return made;
  }

  #count(name: "keystead_batch_items_total" | "keystead_operations_total", action: string, outcomes: ItemOutcomes): void {
    const counter = this.#instruments.counter(name);
    for (const outcome of ["allowed", "denied", "failed"] as const)
      if (outcomes[outcome] > 0) counter.inc({ action, outcome }, outcomes[outcome]);
  }

  #requestsOf(method: string, route: string, statusClass: number): DurationSeries {
    const methods = this.#requests.get(route) ?? new Map<string, DurationSeries[]>();
    this.#requests.set(route, methods);
    const name = known("method", method);
    const classes = methods.get(name) ?? [];
    methods.set(name, classes);
    return (classes[statusClass] ??= this.#instruments
      .histogram("keystead_http_request_duration_seconds")
      .series({ method: name, route, status: known("status", `${String(statusClass)}xx`) }));
  }

  async #lookAtKeys(): Promise<void> {
    const read = await this.#keys?.look();
    if (read === undefined) return;
    setKeyFacts(this.#instruments, read.value, this.#names);
    this.#instruments.gauge("keystead_key_facts_age_seconds").set(this.#secondsSince(read.at));
  }

  async #lookAtHealth(): Promise<void> {
    const read = await this.#health?.look();
    const gauge = this.#instruments.gauge("keystead_ready");
    gauge.reset();
    for (const { check, ready } of read?.value ?? []) gauge.set({ check: known("check", check) }, ready ? 1 : 0);
  }

  #addUpTo(cache: CacheName, lookup: "hit" | "miss", total: number): void {
    const name = `${cache} ${lookup}`;
    const more = total - (this.#added.get(name) ?? 0);
    if (more <= 0) return;
    this.#added.set(name, total);
    this.#instruments.counter("keystead_cache_lookups_total").inc({ cache, lookup }, more);
  }

  #secondsSince(begun: number): number {
    return (this.#clock.monotonic() - begun) / millisecondsPerSecond;
  }
}
