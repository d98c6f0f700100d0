import { assertArguments, date, object, optional, text } from "../arguments.ts";
import type { AuditEvent } from "../audit/event.ts";
import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { type Act, auditedOnKey } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { assertVersionDates } from "./key-checks.ts";
import { describeKey, findKeyById, instant, type KeyInfo } from "./key-records.ts";
import { withKeysetKey } from "./keyset-key.ts";
import { describeVersion } from "./keyset.ts";
import { sealNewVersion } from "./new-key.ts";
import { awaitReplication, isReplicated } from "./replication.ts";
import { readSettings } from "./settings.ts";
import { afterCopies } from "./store-history.ts";

/** What the new version is to be. */
export interface RotateKeyOptions {
  /** Why; 1 to 1,024 characters. */
  readonly reason?: string;
  /** From then on the new version protects nothing new. */
  readonly expiresAt?: Date;
  /** Until then the new version is pre-active and the old one stays current; not in the past. */
  readonly activateAt?: Date;
}

const rotateArguments = {
  nameOrAlias: text,
  options: object<RotateKeyOptions>({ reason: optional(text), expiresAt: optional(date), activateAt: optional(date) }),
};

/**
 * Makes the next version of a key. The version is published first and becomes current after the refresh bound, so no
 * process meets ciphertext of a version that it can't have loaded; and after the store's standbys have it, so that no failover loses a
 * version that protects something. Earlier versions still open what they sealed.
 * @throws KeysteadError `UNKNOWN_KEY`, `INVALID_ARGUMENT` for dates, `KEY_STATE` when the version was stopped before it became
 *   current, KEK and store errors
 */
export async function rotateKey(engine: Engine, nameOrAlias: string, options: RotateKeyOptions = {}): Promise<KeyInfo> {
  assertArguments({ nameOrAlias, options }, rotateArguments);
  const { reason, ...terms } = options;
  const act = { action: "keys.rotate", ...(reason !== undefined && { reason }), terms };
  let made: Partial<Act> = {};
  return auditedOnKey(
    engine,
    nameOrAlias,
    act,
    async (keyId) => {
      assertVersionDates(options, engine.clock.now());
      await awaitReplication(engine);
      const published = await publishVersion(engine, keyId, options);
      const { label: version } = describeVersion(published);
      const finishedBy = published.state === "active" ? await becomeCurrent(engine, published) : undefined;
      made = { version, ...(finishedBy === "engine" && { detail: { finishedBy } }) };
      return engine.store.read(async (tables) => describeKey(tables, await findKeyById(tables, keyId)));
    },
    () => made,
  );
}

/**
 * Milliseconds past the refresh bound that a published version is left to the process that published it. After that its
 * process is taken for dead, and any other makes the version current.
 */
const ownersGrace = 10_000;

/** From when any process may make a version current that this one publishes now. */
export function orphanedFrom(now: number, refreshBound: number): number {
  return now + refreshBound + ownersGrace;
}

/**
 * Waits the refresh bound and for standbys, then moves the pointer to a published version unless a later one is current already.
 * @returns `engine` when a background loop took this process for dead and did it meanwhile
 * @throws KeysteadError `KEY_STATE` when the version is no longer active; what else fails says that the version stays published
 */
export async function becomeCurrent(engine: Engine, published: StoredRecord<"versions">): Promise<"caller" | "engine"> {
  const { keyId, version } = published;
  const { label } = describeVersion(published);
  let finishedBy: "caller" | "engine";
  try {
    const { refreshBound } = await engine.store.read(readSettings);
    await refreshQuietly(engine);
    await engine.clock.wait(refreshBound);
    await awaitReplication(engine);
    const { row, pending } = await engine.store.transaction((tables) => movePointer(tables, keyId, version));
    if (row?.state !== "active") {
      throw new KeysteadError(
        "KEY_STATE",
        `version ${label} became ${row?.state ?? "unknown"} before it was current; see \`keystead keys show\``,
      );
    }
    finishedBy = pending ? "caller" : "engine";
  } catch (error) {
    if (!(error instanceof KeysteadError) || error.code === "KEY_STATE") throw error;
    throw new KeysteadError(error.code, `version ${label} is published and becomes current by itself, but not yet: ${error.message}`, {
      cause: error,
    });
  }
  await refreshQuietly(engine);
  return finishedBy;
}

/** Takes a change over in this process at once. The change stands: when the store doesn't answer now, the background loop goes on trying. */
export async function refreshQuietly({ registry }: Pick<Engine, "registry">): Promise<void> {
  await registry.refresh().catch(() => undefined);
}

/** What came of moving the pointer. */
interface PointerMove {
  readonly row: StoredRecord<"versions"> | undefined;
  /** False when nothing waited for it: the version became current before, or was never published. */
  readonly pending: boolean;
  /** False when a later version is current. */
  readonly moved: boolean;
}

/** Moves the pointer forward, never back, and only to an active version. */
async function movePointer(tables: StoreTables, keyId: string, version: number): Promise<PointerMove> {
  const key = await tables.keys.get({ id: keyId });
  const row = await tables.versions.get({ keyId, version });
  if (key === undefined || row?.state !== "active") return { row, pending: false, moved: false };
  const moved = (key.currentVersion ?? 0) < version;
  if (moved) await tables.keys.update({ ...key, currentVersion: version });
  if (row.currentFrom === null) return { row, pending: false, moved };
  return { row: await tables.versions.update({ ...row, currentFrom: null }), pending: true, moved };
}

function publishVersion(engine: Engine, keyId: string, options: RotateKeyOptions): Promise<StoredRecord<"versions">> {
  return withKeysetKey(engine, keyId, async ({ key, keysetKey }) => async (tables) => {
    const versions = await tables.versions.list({ keyId });
    const { refreshBound, ...history } = await readSettings(tables);
    const now = engine.clock.now();
    const preActive = options.activateAt !== undefined && options.activateAt.getTime() > now;
    return tables.versions.insert(
      sealNewVersion(engine, keysetKey, key, Math.max(0, ...versions.map((row) => row.version)) + 1, {
        state: preActive ? "pre-active" : "active",
        stateReason: options.reason ?? "rotated",
        createdAt: afterCopies(now, history),
        activateAt: preActive ? options.activateAt.getTime() : null,
        currentFrom: preActive ? null : orphanedFrom(now, refreshBound),
        expiresAt: options.expiresAt?.getTime() ?? null,
      }),
    );
  });
}

/** What a look for due work found. */
export interface Settlement {
  /** How many versions were touched. */
  readonly touched: number;
  /** When the next version comes due; undefined when none waits. */
  readonly next: number | undefined;
}

/** Milliseconds after which standbys are asked again that did not have a published version. */
const standbyPause = 500;

/** When a version comes due for {@link settleDue}; undefined when it waits for nothing. */
function dueAt({ state, currentFrom, activateAt }: StoredRecord<"versions">): number | undefined {
  const due = state === "active" ? currentFrom : state === "pre-active" ? activateAt : null;
  return due ?? undefined;
}

/**
 * Finishes what time or a crash left: activates versions whose date has come, and moves pointers that a process
 * published and never moved. Any process may do it at any time.
 * @param record - is given each act once it is done; when it throws, the rest waits for the next look
 */
export async function settleDue(engine: Engine, record: (act: SettledAct) => Promise<void>): Promise<Settlement> {
  const now = engine.clock.now();
  const waiting = (await engine.store.read((tables) => tables.versions.list())).filter((row) => dueAt(row) !== undefined);
  let touched = 0;
  let next: number | undefined;
  const held = waiting.some(({ currentFrom }) => (currentFrom ?? now + 1) <= now) && !(await isReplicated(engine));
  for (const candidate of waiting) {
    const ownDue = dueAt(candidate) ?? now;
    const due = held && candidate.state === "active" && ownDue <= now ? now + standbyPause : ownDue;
    if (due > now) {
      next = Math.min(next ?? due, due);
      continue;
    }
    const { wasDue, act } = await engine.store.transaction((tables) => settle(tables, candidate, now));
    if (wasDue) touched += 1;
    if (act !== undefined) await record(act);
  }
  return { touched, next };
}

/** What was settled, for the audit. */
export interface SettledAct extends Pick<AuditEvent, "action" | "detail"> {
  readonly key: string;
  readonly version: string;
  readonly reason: string;
}

/** Settles one version. There is an act to record only when something changed for those who use the key. */
async function settle(
  tables: StoreTables,
  { keyId, version }: StoredRecord<"versions">,
  now: number,
): Promise<{ readonly wasDue: boolean; readonly act?: SettledAct }> {
  const row = await tables.versions.get({ keyId, version });
  const due = row && dueAt(row);
  if (row === undefined || due === undefined || due > now) return { wasDue: false };
  const named = { key: (await findKeyById(tables, keyId)).name, version: describeVersion(row).label };
  if (row.state === "active") {
    const { moved } = await movePointer(tables, keyId, version);
    return { wasDue: true, ...(moved && { act: { ...named, ...finished(row) } }) };
  }
  const { refreshBound } = await readSettings(tables);
  const stateReason = "its activation date came";
  await tables.versions.update({ ...row, state: "active", stateAt: now, stateReason, currentFrom: now + refreshBound });
  return { wasDue: true, act: { ...named, action: "keys.activate", reason: "activation date" } };
}

/** What made a version current: a rotation that its process did not finish, or an activation. */
function finished({ activateAt, createdAt, stateReason }: StoredRecord<"versions">): Omit<SettledAct, "key" | "version"> {
  if (activateAt !== null) return { action: "keys.activate", reason: "became current after its activation" };
  const detail = { publishedAt: instant(createdAt), publishedFor: stateReason };
  return { action: "keys.rotate", reason: "finished a published rotation", detail };
}
