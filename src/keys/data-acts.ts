import { createHash, hash } from "node:crypto";
import type { Resource } from "../access/access-control.ts";
import type { Caller } from "../access/caller.ts";
import type { AuditEvent } from "../audit/event.ts";
import { limits } from "../audit/record-check.ts";
import { isKeyName } from "../crypto/ciphertext.ts";
import type { Context } from "../crypto/context.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import { type ActOutcome, failureOutcome, type ItemOutcomes } from "../observer.ts";
import type { Writable } from "../writable.ts";
import { type BatchEntry, countOutcomes, groupBatch } from "./batch-groups.ts";
import type { Engine } from "./engine.ts";
import { isAlias } from "./key-records.ts";
import type { NamedKey } from "./key-names.ts";
import type { KeyTarget } from "./key-target.ts";
import { isPurposeName } from "./purpose-records.ts";
import { watchAct } from "./watch-act.ts";

/** Asks in place of `authorize`, where more than yes and no is answered. */
type Ask = (resource: Resource) => Promise<void>;

/** An operation on data, as access control is asked and as the audit tells it. */
export interface DataAct {
  readonly action: string;
  /** Undefined for one that needs no key. */
  readonly target?: KeyTarget | undefined;
  readonly context?: Context | undefined;
  /** Label of the version that a ciphertext names, whether it opens or not. */
  readonly version?: string | undefined;
  readonly dataset?: string | undefined;
  readonly reason?: string | undefined;
  readonly detail?: AuditEvent["detail"];
  /** Where a ciphertext is moved. */
  readonly way?: Way;
  /** True for what is recorded also when the process itself does it. */
  readonly recorded?: boolean;
  readonly ask?: Ask | undefined;
}

/** How a batch is recorded. */
interface BatchOptions<T> {
  readonly reason?: string | undefined;
  /** What the record says beside counts. */
  readonly detail?: AuditEvent["detail"];
  /** Counts that the record says besides. */
  readonly tally?: (results: readonly (T | ItemProblem)[]) => Readonly<Record<string, number>>;
  /** Label of the version that made a result, where it tells. */
  readonly versionOf?: (result: T) => string | undefined;
  /** True to tell of items with different contexts apart. */
  readonly isByContext?: boolean;
  /** True to record it also for a program that embeds Keystead. */
  readonly isAlwaysRecorded?: boolean;
}

/** What an operation gave, the label of the version that it used where only that tells it, and what else the record says. */
export interface DataDone<T> {
  readonly result: T;
  readonly label?: string;
  readonly detail?: AuditEvent["detail"];
}

/** One item of a batch that failed, in its place. */
export interface ItemProblem {
  readonly problem: KeysteadError;
}

/** An item of a batch: what it asks for and does with the key that the target means, or why it can't be asked for. */
export type BatchItem<T> = (
  | {
      /** What is asked for; that of the batch when absent. */
      readonly action?: string;
      /** Absent for what needs no key. */
      readonly target?: KeyTarget | undefined;
      readonly context?: Context | undefined;
      readonly dataset?: string | undefined;
      readonly ask?: Ask | undefined;
      readonly work: (key: NamedKey) => T | Promise<T>;
    }
  | ItemProblem
) & {
  /** Ciphertext that came in; its digest goes into the record. */
  readonly ciphertext?: string | Uint8Array;
  /** Label of the version that it names, whether it opens or not. */
  readonly version?: string | undefined;
  /** Where it is moved. */
  readonly way?: Way;
};

/** Where a ciphertext is moved. */
export interface Way {
  /** Name of the key, when it is another one; set as soon as that is found. */
  to?: string;
  /** Label of the version under which it is then. */
  version?: string;
}

/**
 * Operations on data: each asks access control for itself. A served one, and one that is denied, leaves exactly one record, durable
 * before the answer; of others the opening of keys and their counted use is recorded.
 */
export class DataActs {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Does one operation.
   * @throws KeysteadError `ACCESS_DENIED`, `UNKNOWN_KEY`, `UNKNOWN_PURPOSE`, `AUDIT_UNAVAILABLE`, `CLOSED`, and what the work throws
   */
  perform<T>(act: DataAct, work: (key: NamedKey) => Promise<DataDone<T>> | DataDone<T>): Promise<T> {
    const { observer } = this.#engine;
    return observer.act === undefined ? this.#perform(act, work) : observer.act(act.action, () => this.#perform(act, work));
  }

  /**
   * Does many operations of one kind: each is asked for and fails alone. One record for each key, and for each outcome of its items, tells
   * what they share, and holds a digest of each.
   * @param digested the ciphertext that an item gave, where it gave one
   * @param options `reason`, `detail`, `tally`, `versionOf`: what records say besides; `isAlwaysRecorded`: also for a program that embeds Keystead
   * @returns one result or problem per item, in order
   * @throws KeysteadError `TOO_LARGE` for more than 1,000 items, `AUDIT_UNAVAILABLE`, `CLOSED`
   */
  async performEach<T>(
    action: string,
    items: readonly BatchItem<T>[],
    digested: (result: T) => string | Uint8Array | undefined,
    options: BatchOptions<T> = {},
  ): Promise<(T | ItemProblem)[]> {
    const { results } = await this.#engine.acts.run(() =>
      watchAct(
        this.#engine,
        action,
        () => this.#performEach(action, items, digested, options),
        ({ outcome }) => outcome,
      ),
    );
    return results;
  }

  /**
   * Every operation on a single value goes through here: what `RunningActs.run`, `watchAct` and `#record` do is done in place, as each of them
   * would wait once more.
   */
  async #perform<T>(act: DataAct, work: (key: NamedKey) => Promise<DataDone<T>> | DataDone<T>): Promise<T> {
    const { acts, audit, caller, clock, names, observer } = this.#engine;
    acts.enter();
    const begun = clock.monotonic();
    let outcome: ActOutcome = "failed";
    try {
      let key: NamedKey | undefined;
      let done: DataDone<T>;
      try {
        const { target } = act;
        key = target === undefined ? noKey : (names.recall(target) ?? (await this.#find(act, target)));
        const asked = this.#ask(act, resourceOf(act, key));
        if (asked !== undefined) await asked;
        const doing = work(key);
        done = doing instanceof Promise ? await doing : doing;
      } catch (error) {
        const refusal = failureOutcome(error);
        if (refusal === "denied" || isRecorded(caller, act)) {
          const code = error instanceof KeysteadError ? error.code : "INTERNAL";
          await this.#record({ ...eventOf(caller, act, key, refusal), code });
        }
        outcome = refusal;
        throw error;
      }
      const { result, label, detail } = done;
      if (isRecorded(caller, act)) {
        const event = eventOf(caller, act, key, "allowed");
        if (label !== undefined) event.version = label;
        if (detail !== undefined) event.detail = detail;
        try {
          await audit.record(event);
        } catch (error) {
          throw await this.#recordRefused(event, error);
        }
      }
      outcome = "allowed";
      return result;
    } finally {
      acts.leave();
      observer.actEnded(act.action, outcome, clock.monotonic() - begun);
    }
  }

  async #performEach<T>(
    action: string,
    items: readonly BatchItem<T>[],
    digested: (result: T) => string | Uint8Array | undefined,
    { detail, isAlwaysRecorded = false, isByContext, reason, tally, versionOf }: BatchOptions<T>,
  ): Promise<{ readonly results: (T | ItemProblem)[]; readonly outcome: ActOutcome }> {
    assertBatchLength(items);
    const { caller, names, observer } = this.#engine;
    const results: (T | ItemProblem)[] = [];
    const entries: BatchEntry[] = [];
    for (const item of items) {
      const entry = newEntry(action, item);
      entries.push(entry);
      try {
        if ("problem" in item) throw item.problem;
        const { target, context, dataset, ask } = item;
        const act = { action: entry.action, target, context, dataset, ask };
        const key = target === undefined ? noKey : (names.recall(target) ?? (await this.#find(act, target)));
        if (key !== noKey) entry.key = key.name;
        const asked = this.#ask(act, resourceOf(act, key));
        if (asked !== undefined) await asked;
        const doing = item.work(key);
        const result = doing instanceof Promise ? await doing : doing;
        results.push(result);
        entry.version ??= versionOf?.(result);
      } catch (error) {
        if (!(error instanceof KeysteadError)) throw error;
        entry.outcome = failureOutcome(error);
        if (entry.key === undefined && "target" in item) Object.assign(entry, namedBy(item.target));
        results.push({ problem: error });
      }
      entry.to = item.way?.to;
      entry.toVersion = item.way?.version;
    }
    const outcomes = countOutcomes(entries);
    const outcome = outcomeOfBatch(outcomes);
    const groups = groupBatch(entries, isByContext);
    for (const group of groups) observer.items(group.action ?? action, group.outcomes);
    const recorded = caller.request !== undefined || isAlwaysRecorded ? groups : groups.filter(({ outcomes }) => outcomes.denied > 0);
    const records = recorded.map((group) => {
      const { places, outcomes, shared } = group;
      const { key, purpose, to, toVersion, version, context, dataset } = shared;
      const act = { action: group.action ?? action, version, context, dataset, reason };
      const event = eventOf(caller, act, undefined, outcomeOfBatch(outcomes));
      if (key !== undefined) event.key = key;
      if (purpose !== undefined) event.purpose = purpose;
      event.items = places.map((place) => digestOf(results[place], items[place], digested));
      const told = tally?.(places.map((place) => results[place]).filter((result) => result !== undefined));
      const whole = groups.length > 1 ? { batch: items.length } : {};
      const { denied, failed } = outcomes;
      const moved = { ...(to !== undefined && { to }), ...(toVersion !== undefined && { toVersion }) };
      event.detail = { ...detail, ...moved, items: places.length, failed: denied + failed, denied, ...told, ...whole };
      return this.#record(event);
    });
    await Promise.all(records);
    return { results, outcome };
  }

  /** Whoever may do nothing with a name does not learn whether there is such a key. */
  async #find(act: DataAct, target: KeyTarget): Promise<NamedKey> {
    try {
      return await this.#engine.names.find(target);
    } catch (error) {
      await this.#ask(act, resourceOf(act, undefined));
      throw error;
    }
  }

  /** @throws KeysteadError `ACCESS_DENIED`, `APPROVAL_REQUIRED` */
  #ask({ action, ask }: DataAct, resource: Resource): Promise<void> | void {
    if (ask !== undefined) return ask(resource);
    return this.#engine.access.authorize(this.#engine.caller, action, resource);
  }

  async #record(event: AuditEvent): Promise<void> {
    try {
      await this.#engine.audit.record(event);
    } catch (error) {
      throw await this.#recordRefused(event, error);
    }
  }

  /** What no record can hold is not done; that itself is recorded. @param error - by which its record was refused, returned to be thrown */
  async #recordRefused({ context: _, detail: __, reason: ___, items: ____, ...rest }: AuditEvent, error: unknown): Promise<unknown> {
    if (isKeysteadError(error, "INVALID_ARGUMENT")) await this.#engine.audit.record({ ...rest, outcome: "failed", code: error.code });
    return error;
  }
}

/** @throws KeysteadError `TOO_LARGE` for more than 1,000 items */
export function assertBatchLength({ length }: readonly unknown[]): void {
  if (length > limits.items)
    throw new KeysteadError("TOO_LARGE", `a batch has at most ${String(limits.items)} items; send several, or a stream`);
}

function isRecorded({ request }: Caller, { recorded = false }: DataAct): boolean {
  return recorded || request !== undefined;
}

const noKey: NamedKey = { id: "", name: "", purpose: "" };

function resourceOf({ target, context, dataset }: DataAct, key: NamedKey | undefined): Resource {
  const resource: Writable<Resource> = key !== undefined && key !== noKey ? { key: key.name, purpose: key.purpose } : namedBy(target);
  if (dataset !== undefined) resource.dataset = dataset;
  if (context !== undefined) resource.context = context;
  return resource;
}

/** What of a target that leads nowhere can be told: a name that is none may be somebody's data. */
export function namedBy(target: KeyTarget | undefined): { readonly key?: string; readonly purpose?: string } {
  if (target === undefined) return {};
  if (typeof target === "string") return isKeyName(target) ? { key: target } : {};
  return isPurposeName(target.purpose) ? { purpose: target.purpose } : {};
}

function eventOf(
  { principal, request }: Caller,
  { action, target, version, context, dataset, reason, detail, way }: DataAct,
  key: NamedKey | undefined,
  outcome: AuditEvent["outcome"],
): Writable<AuditEvent> {
  const event: Writable<AuditEvent> = { action, outcome, principal };
  if (request !== undefined) event.request = request;
  if (key !== undefined && key !== noKey) event.key = key.name;
  else Object.assign(event, namedBy(target));
  if (version !== undefined) event.version = version;
  if (dataset !== undefined && isAlias(dataset)) event.dataset = dataset;
  if (context !== undefined) event.context = context;
  if (reason !== undefined) event.reason = reason;
  if (detail !== undefined) event.detail = detail;
  if (way?.to !== undefined) event.detail = { ...event.detail, to: way.to };
  if (way?.version !== undefined) event.detail = { ...event.detail, toVersion: way.version };
  return event;
}

function outcomeOfBatch({ allowed, denied, failed }: ItemOutcomes): ActOutcome {
  if (allowed > 0 || denied + failed === 0) return "allowed";
  return failed === 0 ? "denied" : "failed";
}

/** What is known of an item before anything is done. Every member is there: there are hundreds of them in a call. */
function newEntry<T>(batch: string, item: BatchItem<T>): Writable<BatchEntry> {
  const {
    action = batch,
    context,
    dataset,
  }: Partial<Pick<Exclude<BatchItem<T>, ItemProblem>, "action" | "context" | "dataset">> = "problem" in item ? {} : item;
  const { version } = item;
  return { action, key: undefined, purpose: undefined, version, context, dataset, to: undefined, toVersion: undefined, outcome: "allowed" };
}

function digestOf<T>(
  result: T | ItemProblem | undefined,
  item: BatchItem<T> | undefined,
  digested: (result: T) => string | Uint8Array | undefined,
): string {
  if (isProblem(result)) return `${digest(item?.ciphertext)}!${result.problem.code}`;
  return digest(item?.ciphertext ?? (result === undefined ? undefined : digested(result)));
}

function digest(ciphertext: string | Uint8Array | undefined): string {
  if (ciphertext === undefined) return "";
  return typeof ciphertext === "string"
    ? hash("sha256", ciphertext, "base64url")
    : createHash("sha256").update(ciphertext).digest("base64url");
}

/** True for an item of a batch that failed. */
export function isProblem(result: unknown): result is ItemProblem {
  return typeof result === "object" && result !== null && "problem" in result && result.problem instanceof KeysteadError;
}
