import type { AuditEvent, AuditTrail } from "../audit/event.ts";
import { recordOnce } from "../audit/record-once.ts";
import { systemClock } from "../clock.ts";
import type { StoreWatch } from "../store/store.ts";
import type { Engine } from "./engine.ts";
import { settleDue, type SettledAct } from "./rotate-key.ts";
import { readSettings } from "./settings.ts";
import type { UseCounts } from "./use-counts.ts";

/** Milliseconds between writing use counts to store and audit; refusals are an alarm and don't wait that long. */
const reportIntervals = { use: 60_000, refusals: 1_000 } as const;

/** Share of the time that looking for due work in vain may take, at most: one part in so many. */
const settleShare = 20;

const shortestInterval = 10;

const settlePrincipal = { source: "engine", id: "settle" } as const;
const usePrincipal = { source: "engine", id: "use" } as const;

/** What use counts are taken from and recorded in. */
export interface UseReportParts {
  readonly registry: { readonly flush: () => Promise<void>; readonly counts: Pick<UseCounts, "takeUse" | "restoreUse"> };
  readonly audit: AuditTrail;
}

/** Writes use counts to the store and the audit; refusals are an alarm of their own. What can't be recorded is reported next time. */
export async function reportUse({ registry, audit }: UseReportParts): Promise<void> {
  await registry.flush();
  const uses = registry.counts.takeUse();
  for (let use = uses.shift(); use !== undefined; use = uses.shift()) {
    const { key, label: version, seals, opens, refusals } = use;
    let left = use;
    try {
      if (seals + opens > 0)
        await recordOnce(audit, {
          action: "keys.use",
          outcome: "allowed",
          principal: usePrincipal,
          key,
          version,
          detail: { seals, opens },
        });
      left = { ...use, seals: 0, opens: 0 };
      if (refusals > 0)
        await recordOnce(audit, { action: "keys.use", outcome: "denied", principal: usePrincipal, key, version, detail: { refusals } });
    } catch (error) {
      for (const unrecorded of [left, ...uses]) registry.counts.restoreUse(unrecorded);
      throw error;
    }
  }
}

/**
 * The work that goes on beside the callers: refreshing loaded keys and policies within the refresh bound, finishing what is due, and
 * writing use counts. Runs on real time even where the engine's clock is injected: it is about this process's neighbours.
 */
export class Background {
  readonly #engine: Engine;
  readonly #sweep: () => Promise<void>;
  /** Audit records of settled acts that could not be written yet. */
  readonly #unrecorded: AuditEvent[] = [];
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();
  #stopped = false;
  #interval = shortestInterval;
  #revision = -1;
  #settleNext = 0;
  #settleNotBefore = Number.NEGATIVE_INFINITY;
  #reportedAt = systemClock.monotonic();
  #problem: unknown;
  #watch: StoreWatch | undefined;
  #isRunning = false;
  #isWoken = false;

  /** @param sweep - frees what was not used for long; called with each round */
  constructor(engine: Engine, sweep: () => Promise<void>) {
    this.#engine = engine;
    this.#sweep = sweep;
  }

  /** Why the last round failed; undefined when it did not. The keys' leases run out while this lasts. */
  get problem(): unknown {
    return this.#problem;
  }

  /** Why changes of other processes are found by looking alone; undefined while the store tells of them, or never does. */
  async watchProblem(): Promise<unknown> {
    return await this.#watch?.problem();
  }

  /** Finishes what is due and begins to follow changes. */
  async start(): Promise<void> {
    await this.#settle();
    this.#schedule();
    this.#watch = this.#engine.store.watch?.(() => {
      this.#wake();
    });
  }

  /** Ends after the round that runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#watch?.close();
    await this.#round;
  }

  /** Looks at once, or once more after the round that runs. */
  #wake(): void {
    this.#isWoken = true;
    if (!this.#isRunning) this.#schedule();
  }

  #schedule(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => {
        this.#round = this.#runRound();
      },
      this.#isWoken ? 0 : this.#interval,
    );
    this.#timer.unref();
  }

  async #runRound(): Promise<void> {
    this.#isWoken = false;
    this.#isRunning = true;
    try {
      await this.#tend();
      this.#problem = undefined;
    } catch (error) {
      this.#problem = error;
    }
    this.#isRunning = false;
    this.#schedule();
  }

  async #tend(): Promise<void> {
    const { registry, policies } = this.#engine;
    await policies.keep();
    // A version that was current may wait for nothing but this process's lease.
    if (await registry.follow()) await registry.flush();
    await this.#settle();
    await this.#sweep();
    const waited = systemClock.monotonic() - this.#reportedAt;
    if (waited < (registry.refused ? reportIntervals.refusals : reportIntervals.use)) return;
    this.#reportedAt = systemClock.monotonic();
    await reportUse(this.#engine);
  }

  /** Looks for due work after a change of the metadata, and when something comes due. */
  async #settle(): Promise<void> {
    await this.#recordRest();
    const { store, clock } = this.#engine;
    const started = systemClock.monotonic();
    const revision = await store.revision();
    if ((revision === this.#revision && clock.now() < this.#settleNext) || started < this.#settleNotBefore) return;
    const { refreshBound } = await store.read(readSettings);
    this.#interval = Math.max(shortestInterval, Math.floor(refreshBound / 2));
    const { touched, next } = await settleDue(this.#engine, (act) => this.#record(act));
    if (touched > 0) await this.#engine.registry.follow();
    // What was touched may come due again at once: its pointer moves one refresh bound later.
    this.#revision = touched === 0 ? revision : -1;
    this.#settleNext = next ?? Number.POSITIVE_INFINITY;
    const ended = systemClock.monotonic();
    this.#settleNotBefore = touched === 0 ? ended + (ended - started) * settleShare : ended;
  }

  async #record(act: SettledAct): Promise<void> {
    this.#unrecorded.push({ ...act, outcome: "allowed", principal: settlePrincipal });
    await this.#recordRest();
  }

  /** Background acts are audited, too: also those that happened while the journal's disk was full. */
  async #recordRest(): Promise<void> {
    for (let event = this.#unrecorded[0]; event !== undefined; event = this.#unrecorded[0]) {
      await recordOnce(this.#engine.audit, event);
      this.#unrecorded.shift();
    }
  }
}
