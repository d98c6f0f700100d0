import { allowAll } from "../access/access-control.ts";
import { isOnData } from "../access/actions.ts";
import type { Caller } from "../access/caller.ts";
import type { AuditEvent } from "../audit/event.ts";
import { isKeyName } from "../crypto/ciphertext.ts";
import { maxContextPairs } from "../crypto/limits.ts";
import { type ErrorCode, isKeysteadError, KeysteadError } from "../errors.ts";
import type { ActTerms } from "./access/act-terms.ts";
import { type Approval, takeApproval } from "./access/approval-requests.ts";
import type { Engine } from "./engine.ts";
import { lookUpKey, unknownKey } from "./key-records.ts";
import { describeVersion } from "./keyset.ts";
import { isPurposeName } from "./purpose-records.ts";
import type { VersionPhase } from "./version-state.ts";
import { assertHere, movedTo } from "./store-history.ts";
import { watchAct } from "./watch-act.ts";

/** An act as a service describes it before it happens. */
export interface Act
  extends
    Pick<AuditEvent, "action">,
    Partial<Pick<AuditEvent, "key" | "version" | "dataset" | "purpose" | "context" | "reason" | "detail">> {
  /** All that the caller gave and that decides what is done: an approval holds for just that, and shows it. No secret and no value. Not recorded. */
  readonly terms: ActTerms;
  /** What access control is asked in place of one question about the act, unless it is nothing. Not recorded. */
  readonly questions?: () => Promise<readonly Question[]>;
  /** True for the execution of what was approved of before: it needs nobody's approval again. */
  readonly approved?: boolean;
}

/** Something that whoever does an act must be allowed: another action than that of the act, or one on a key that it concerns. */
export interface Question {
  readonly action?: string;
  readonly key?: string;
  /** Of a key that there is none of. */
  readonly purpose?: string;
}

const onlyItself: Question = {};

/** What of an act goes into its record. */
type RecordableAct = Omit<Act, "terms" | "questions" | "approved">;

/** What an act on a version says of it. */
interface VersionAct {
  readonly version?: number;
  /** Phase in which the act only executes what was approved of before. */
  readonly approvedIn?: VersionPhase;
}

/** The act that moves a store, and may be repeated where it was interrupted. */
export const handOverAction = "store.copy";

/** Longest texts of an audit record, in UTF-16 units. */
const longest = { dataset: 255, reason: 1024, detail: 4096 } as const;

/**
 * Asks access control, does the work and records the act; the answer is given once the record is durable. Refusals and
 * failures are recorded, too. What no record could hold is refused before anything happens. What needs a second person waits as an
 * approval, and is done when the call is made again after that.
 * @param describe adds what only the result knows (version, counts)
 * @throws KeysteadError `INVALID_ARGUMENT`, `ACCESS_DENIED`, `APPROVAL_REQUIRED` naming the approval, `CLOSED`, `AUDIT_UNAVAILABLE`, and what the work throws
 */
export function audited<T>(engine: Engine, act: Act, work: () => Promise<T>, describe?: (result: T) => Partial<RecordableAct>): Promise<T> {
  return engine.acts.run(() => watchAct(engine, act.action, () => perform(engine, act, work, describe)));
}

/**
 * As {@link audited}, for an act on a key: access control and audit are told the key's name and the version's label, also when
 * the caller named an alias and a number, and the work gets the id of just that key.
 * @throws KeysteadError `UNKNOWN_KEY`
 */
export function auditedOnKey<T>(
  engine: Engine,
  nameOrAlias: string,
  { version, approvedIn, ...act }: Omit<Act, "key" | "version" | "approved"> & VersionAct,
  work: (keyId: string, approved: boolean) => Promise<T>,
  describe?: (result: T) => Partial<RecordableAct>,
): Promise<T> {
  return engine.acts.run(async () => {
    const { key, row } = await engine.store.read(async (tables) => {
      const key = await lookUpKey(tables, nameOrAlias);
      const known = key !== undefined && version !== undefined && Number.isSafeInteger(version);
      return { key, row: known ? await tables.versions.get({ keyId: key.id, version }) : undefined };
    });
    const name = key?.name ?? nameOrAlias;
    const { label, phase } = row === undefined ? { label: String(version) } : describeVersion(row);
    const approved = approvedIn !== undefined && phase === approvedIn;
    const named = { ...act, approved, ...(isKeyName(name) && { key: name }), ...(version !== undefined && { version: label }) };
    const found = (): Promise<T> => (key === undefined ? Promise.reject(unknownKey(nameOrAlias)) : work(key.id, approved));
    return watchAct(engine, act.action, () => perform(engine, named, found, describe));
  });
}

/**
 * As {@link audited}, for what only reads: access control is asked, a served call is recorded, and so is whatever is denied. What a program
 * that links the library reads leaves no record.
 * @throws KeysteadError `ACCESS_DENIED`, `APPROVAL_REQUIRED`, and what the work throws
 */
export function asked<T>(engine: Engine, act: Act, work: () => Promise<T>): Promise<T> {
  const { caller, acts } = engine;
  return caller.request === undefined
    ? watchAct(engine, act.action, () => askQuietly(engine, act, work))
    : acts.run(() => watchAct(engine, act.action, () => perform(engine, act, work)));
}

/**
 * As {@link asked}, about a key: access control and audit are told its name, also when the caller named an alias.
 * @param work gets that name; where nobody has to be asked, what the caller gave
 */
export async function askedOnKey<T>(
  engine: Engine,
  nameOrAlias: string,
  act: Omit<Act, "key">,
  work: (nameOrAlias: string) => Promise<T>,
): Promise<T> {
  if (engine.access === allowAll && engine.caller.request === undefined) return work(nameOrAlias);
  const key = await engine.store.read((tables) => lookUpKey(tables, nameOrAlias));
  const name = key?.name ?? nameOrAlias;
  return asked(engine, { ...act, ...(isKeyName(name) && { key: name }) }, () => work(name));
}

async function askQuietly<T>(engine: Engine, act: Act, work: () => Promise<T>): Promise<T> {
  const told: { key?: string } = {};
  const { recordable } = checkAct(act);
  let approval: Approval | undefined;
  try {
    approval = await permit(engine, act, told);
  } catch (error) {
    if (isDenial(error)) await recordFailure(engine, { ...recordable, ...told }, error);
    throw error;
  }
  if (approval === undefined) return work();
  try {
    const result = await work();
    await record(engine, { ...recordable, detail: detailOf(recordable, approval), ...by(engine.caller), outcome: "allowed" }, "was done");
    return result;
  } catch (error) {
    if (!isInDoubt(error)) await approval.giveBack();
    throw error;
  }
}

/** Codes of what may come behind a change that was made: of the store that was to say so, of looking at it anew, or of its record. */
const doubtful: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["STORE_FAILED", "STORE_BUSY", "AUDIT_UNAVAILABLE", "INTERNAL"]);

/** True for a failure after which the act may have been done, or half of it: nobody approved of doing it twice. */
function isInDoubt(error: unknown): boolean {
  return !(error instanceof KeysteadError) || doubtful.has(error.code);
}

async function perform<T>(engine: Engine, act: Act, work: () => Promise<T>, describe?: (result: T) => Partial<RecordableAct>): Promise<T> {
  const { recordable, problem } = checkAct(act);
  const told: { key?: string } = {};
  let approval: Approval | undefined;
  let result: T;
  try {
    if (problem !== undefined) throw new KeysteadError("INVALID_ARGUMENT", problem);
    approval = await permit(engine, act, told);
    if (act.action !== handOverAction)
      assertHere({ movedTo: (await engine.store.read((tables) => tables.settings.get({ name: movedTo })))?.value });
    result = await work();
  } catch (error) {
    if (!isInDoubt(error)) await approval?.giveBack();
    await recordFailure(engine, { ...recordable, ...told }, error);
    throw error;
  }
  const described = { ...recordable, ...describe?.(result) };
  const detail = detailOf(described, approval);
  const event = { ...described, ...(Object.keys(detail).length > 0 && { detail }), ...by(engine.caller) };
  await record(engine, { ...event, outcome: "allowed" }, "was done");
  return result;
}

/** What a record says of an act, with who approved of it. */
function detailOf({ detail }: Pick<AuditEvent, "detail">, approval: Approval | undefined): NonNullable<AuditEvent["detail"]> {
  return { ...detail, ...(approval !== undefined && { approval: approval.id, approvedBy: approval.approvedBy }) };
}

/** Asks access control, and takes the approval that is there when it wants one. @param told - gets the key that it refuses */
async function permit(engine: Engine, act: Act, told: { key?: string }): Promise<Approval | undefined> {
  const { key, dataset, purpose, context } = act;
  const resource = {
    ...(key !== undefined && { key }),
    ...(dataset !== undefined && { dataset }),
    ...(purpose !== undefined && { purpose }),
    ...(context !== undefined && { context }),
  };
  const questions = (await act.questions?.()) ?? [];
  let needed: KeysteadError | undefined;
  for (const { action = act.action, ...concerned } of questions.length === 0 ? [onlyItself] : questions) {
    try {
      await engine.access.authorize(engine.caller, action, { ...resource, ...concerned });
    } catch (error) {
      if (!isKeysteadError(error, "APPROVAL_REQUIRED")) {
        if (key === undefined && concerned.key !== undefined && isKeyName(concerned.key)) told.key = concerned.key;
        throw error;
      }
      needed ??= error;
    }
  }
  if (needed === undefined || act.approved === true) return undefined;
  if (isOnData(act.action))
    throw new KeysteadError("ACCESS_DENIED", `${act.action} can't wait for a second person; bind it by policies that allow and deny`);
  return takeApproval(engine, act, needed);
}

async function recordFailure(engine: Engine, act: RecordableAct, error: unknown): Promise<void> {
  const code = error instanceof KeysteadError ? error.code : "INTERNAL";
  await record(engine, { ...act, ...by(engine.caller), outcome: isDenial(error) ? "denied" : "failed", code }, "failed", error);
}

function isDenial(error: unknown): boolean {
  return isKeysteadError(error, "ACCESS_DENIED") || isKeysteadError(error, "APPROVAL_REQUIRED");
}

/** Who acts, as a record says it. */
function by({ principal, request }: Caller): Pick<AuditEvent, "principal" | "request"> {
  return { principal, ...(request !== undefined && { request }) };
}

/** What of an act a record can hold, and what is wrong with the rest. */
function checkAct({ action, key, version, dataset, purpose, context, reason, detail = {} }: Act): {
  readonly recordable: RecordableAct;
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
    ...(purpose !== undefined && isPurposeName(purpose) && { purpose }),
    ...(context !== undefined && keep(isContext(context), "a context has at most 64 pairs, of names and values that fit") && { context }),
    ...(dataset !== undefined &&
      keep(isText(dataset, 1, longest.dataset), "a dataset's name has 1 to 255 characters and no control characters") && { dataset }),
    ...(reason !== undefined &&
      keep(isText(reason, 1, longest.reason), "a reason has 1 to 1,024 characters and no control characters") && { reason }),
    ...(details.length > 0 && { detail: Object.fromEntries(details) }),
  };
  return { recordable, problem: problems[0] };
}

function isContext(context: Readonly<Record<string, string>>): boolean {
  const pairs = Object.entries(context);
  const fit = ([name, value]: [string, string]): boolean => isText(name, 1, longest.dataset) && isText(value, 0, longest.detail);
  return pairs.length <= maxContextPairs && pairs.every(fit);
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
