import type { Caller } from "../access/caller.ts";
import type { AuditEvent } from "../audit/event.ts";
import { isKeyName } from "../crypto/ciphertext.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { Engine } from "./engine.ts";
import { lookUpKey, unknownKey } from "./key-records.ts";
import { describeVersion } from "./keyset.ts";
import { assertHere, movedTo } from "./store-history.ts";

/** An act as a service describes it before it happens. */
export type Act = Pick<AuditEvent, "action"> & Partial<Pick<AuditEvent, "key" | "version" | "dataset" | "reason" | "detail">>;

/** The act that moves a store, and may be repeated where it was interrupted. */
export const handOverAction = "store.copy";

/** Longest texts of an audit record, in UTF-16 units. */
const longest = { dataset: 255, reason: 1024, detail: 4096 } as const;

/**
 * Asks access control, does the work and records the act; the answer is given once the record is durable. Refusals and
 * failures are recorded, too. What no record could hold is refused before anything happens.
 * @param describe adds what only the result knows (version, counts)
 * @throws KeysteadError `INVALID_ARGUMENT`, `ACCESS_DENIED`, `CLOSED`, `AUDIT_UNAVAILABLE`, and what the work throws
 */
export function audited<T>(engine: Engine, act: Act, work: () => Promise<T>, describe?: (result: T) => Partial<Act>): Promise<T> {
  return engine.acts.run(() => perform(engine, act, work, describe));
}

/**
 * As {@link audited}, for an act on a key: access control and audit are told the key's name and the version's label, also when
 * the caller named an alias and a number, and the work gets the id of just that key.
 * @throws KeysteadError `UNKNOWN_KEY`
 */
export function auditedOnKey<T>(
  engine: Engine,
  nameOrAlias: string,
  { version, ...act }: Omit<Act, "key" | "version"> & { readonly version?: number },
  work: (keyId: string) => Promise<T>,
  describe?: (result: T) => Partial<Act>,
): Promise<T> {
  return engine.acts.run(async () => {
    const { key, row } = await engine.store.read(async (tables) => {
      const key = await lookUpKey(tables, nameOrAlias);
      const known = key !== undefined && version !== undefined && Number.isSafeInteger(version);
      return { key, row: known ? await tables.versions.get({ keyId: key.id, version }) : undefined };
    });
    const name = key?.name ?? nameOrAlias;
    const label = row === undefined ? String(version) : describeVersion(row).label;
    return perform(
      engine,
      { ...act, ...(isKeyName(name) && { key: name }), ...(version !== undefined && { version: label }) },
      () => (key === undefined ? Promise.reject(unknownKey(nameOrAlias)) : work(key.id)),
      describe,
    );
  });
}

async function perform<T>(engine: Engine, act: Act, work: () => Promise<T>, describe?: (result: T) => Partial<Act>): Promise<T> {
  const { caller } = engine;
  const { recordable, problem } = checkAct(act);
  let result: T;
  try {
    if (problem !== undefined) throw new KeysteadError("INVALID_ARGUMENT", problem);
    await engine.access.authorize(caller, act.action, {
      ...(act.key !== undefined && { key: act.key }),
      ...(act.dataset !== undefined && { dataset: act.dataset }),
    });
    if (act.action !== handOverAction)
      assertHere({ movedTo: (await engine.store.read((tables) => tables.settings.get({ name: movedTo })))?.value });
    result = await work();
  } catch (error) {
    const outcome = isKeysteadError(error, "ACCESS_DENIED") ? "denied" : "failed";
    const code = error instanceof KeysteadError ? error.code : "INTERNAL";
    await record(engine, { ...recordable, ...by(caller), outcome, code }, "failed", error);
    throw error;
  }
  await record(engine, { ...recordable, ...describe?.(result), ...by(caller), outcome: "allowed" }, "was done");
  return result;
}

/** Who acts, as a record says it. */
function by({ principal, request }: Caller): Pick<AuditEvent, "principal" | "request"> {
  return { principal, ...(request !== undefined && { request }) };
}

/** What of an act a record can hold, and what is wrong with the rest. */
function checkAct({ action, key, version, dataset, reason, detail = {} }: Act): {
  readonly recordable: Act;
  readonly problem: string | undefined;
} {
  const problems: string[] = [];
  const keep = (good: boolean, problem: string): boolean => {
    if (!good) problems.push(problem);
    return good;
  };
  const isDetail = (value: unknown): boolean =>
    typeof value === "string" ? isText(value, 0, longest.detail) : typeof value !== "number" || Number.isFinite(value);
  const details = Object.entries(detail).filter(([name, value]) => keep(isDetail(value), `${name} is too long or malformed`));
  const recordable = {
    action,
    ...(key !== undefined && isKeyName(key) && { key }),
    ...(version !== undefined && { version }),
    ...(dataset !== undefined &&
      keep(isText(dataset, 1, longest.dataset), "a dataset's name has 1 to 255 characters and no control characters") && { dataset }),
    ...(reason !== undefined &&
      keep(isText(reason, 1, longest.reason), "a reason has 1 to 1,024 characters and no control characters") && { reason }),
    ...(details.length > 0 && { detail: Object.fromEntries(details) }),
  };
  return { recordable, problem: problems[0] };
}

function isText(text: string, least: number, most: number): boolean {
  return text.length >= least && text.length <= most && text.isWellFormed() && !/\p{Cc}/u.test(text);
}

async function record(engine: Engine, event: AuditEvent, what: string, failure?: unknown): Promise<void> {
  try {
    await engine.audit.record(event);
  } catch (error) {
    if (!(error instanceof KeysteadError)) throw error;
    const cause = failure === undefined ? error : new AggregateError([failure, error]);
    throw new KeysteadError(error.code, `${event.action} ${what}, but its audit record could not be written: ${error.message}`, { cause });
  }
}
