import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { audited } from "./audited.ts";
import { sealNewVersion } from "./create-key.ts";
import type { Engine } from "./engine.ts";
import type { WrapRow } from "./kek-ring.ts";
import { describeKey, findKey, type KeyInfo } from "./key-records.ts";
import { describeVersion } from "./keyset.ts";
import { readSettings } from "./settings.ts";

/** How often an act starts again because another process changed the key's wraps meanwhile. */
const attempts = 10;

/** What the new version is to be. */
export interface RotateKeyOptions {
  readonly reason?: string;
  /** From then on the new version protects nothing new. */
  readonly expiresAt?: Date;
  /** Until then the new version is pre-active and the old one stays current. */
  readonly activateAt?: Date;
}

/**
 * Makes the next version of a key. The version is published first and becomes current after the refresh bound, so no
 * process meets ciphertext of a version that it can't have loaded. Earlier versions still open what they sealed.
 * @throws KeysteadError `UNKNOWN_KEY`, `KEK_FAILED`
 */
export function rotateKey(engine: Engine, nameOrAlias: string, options: RotateKeyOptions = {}): Promise<KeyInfo> {
  const act = { action: "keys.rotate", key: nameOrAlias, ...(options.reason !== undefined && { reason: options.reason }) };
  return audited(
    engine,
    act,
    async () => {
      const { id } = await engine.store.read((tables) => findKey(tables, nameOrAlias));
      const published = await publishVersion(engine, id, options);
      if (published.state === "active") await becomeCurrent(engine, id, published.version);
      return engine.store.read(async (tables) => describeKey(tables, await findKey(tables, nameOrAlias)));
    },
    (key) => {
      const newest = key.versions.at(-1);
      return newest === undefined ? {} : { version: newest.label };
    },
  );
}

/** Waits the refresh bound, then moves the pointer to `version` unless a later one is current already. */
export async function becomeCurrent(engine: Engine, keyId: string, version: number): Promise<void> {
  const { refreshBound } = await engine.store.read(readSettings);
  await engine.clock.wait(refreshBound);
  await engine.store.transaction((tables) => movePointer(tables, keyId, version));
  await engine.registry.refresh();
}

/** Moves the pointer forward, never back, and only to an active version. */
export async function movePointer(tables: StoreTables, keyId: string, version: number): Promise<void> {
  const key = await tables.keys.get({ id: keyId });
  const row = await tables.versions.get({ keyId, version });
  if (key === undefined || row?.state !== "active") return;
  if (row.currentFrom !== null) await tables.versions.update({ ...row, currentFrom: null });
  if ((key.currentVersion ?? 0) < version) await tables.keys.update({ ...key, currentVersion: version });
}

/** True while a subject's wraps are the ones that were opened. */
export function sameWraps(before: readonly WrapRow[], after: readonly WrapRow[]): boolean {
  return (
    before.length === after.length &&
    before.every((wrap, index) => {
      const other = after[index];
      return other?.kekUri === wrap.kekUri && Buffer.compare(other.wrapped, wrap.wrapped) === 0;
    })
  );
}

/**
 * Runs `work` in a transaction with the opened keyset key; starts again when the wraps changed between opening the key
 * (which may ask a remote KEK) and the transaction.
 */
export async function withKeysetKey<T>(
  engine: Engine,
  keyId: string,
  work: (tables: StoreTables, opened: Awaited<ReturnType<Engine["registry"]["openKeysetKey"]>>) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const opened = await engine.registry.openKeysetKey(keyId);
    const outcome = await engine.store.transaction(async (tables) => {
      if (!sameWraps(opened.records.wraps, await tables.wraps.list({ subject: keyId }))) return undefined;
      return { result: await work(tables, opened) };
    });
    if (outcome !== undefined) return outcome.result;
  }
  throw new KeysteadError("CONFLICT", "other processes keep changing this key's wraps; run the command again when they are done");
}

async function publishVersion(engine: Engine, keyId: string, options: RotateKeyOptions): Promise<StoredRecord<"versions">> {
  return withKeysetKey(engine, keyId, async (tables, { records, keysetKey }) => {
    const versions = await tables.versions.list({ keyId });
    const next = Math.max(0, ...versions.map((row) => row.version)) + 1;
    const { refreshBound } = await readSettings(tables);
    const now = engine.clock.now();
    const preActive = options.activateAt !== undefined && options.activateAt.getTime() > now;
    return tables.versions.insert(
      sealNewVersion(engine, keysetKey, records.key, next, {
        state: preActive ? "pre-active" : "active",
        stateReason: options.reason ?? "rotated",
        activateAt: options.activateAt?.getTime() ?? null,
        currentFrom: preActive ? null : now + refreshBound,
        expiresAt: options.expiresAt?.getTime() ?? null,
      }),
    );
  });
}

/**
 * Finishes what time or a crash left: activates versions whose date has come, and moves pointers that a process
 * published and never moved. Any process may do it at any time.
 * @returns how many versions it touched
 */
export async function settleDue(engine: Engine): Promise<number> {
  const now = engine.clock.now();
  const due = (row: StoredRecord<"versions">): boolean =>
    (row.state === "active" && row.currentFrom !== null && row.currentFrom <= now) ||
    (row.state === "pre-active" && row.activateAt !== null && row.activateAt <= now);
  const candidates = (await engine.store.read((tables) => tables.versions.list())).filter(due);
  for (const { keyId, version } of candidates) {
    const settled = await engine.store.transaction(async (tables) => {
      const row = await tables.versions.get({ keyId, version });
      if (row === undefined || !due(row)) return undefined;
      if (row.state === "active") {
        await movePointer(tables, keyId, version);
        return { action: "keys.rotate", row };
      }
      const { refreshBound } = await readSettings(tables);
      const stateReason = "its activation date came";
      await tables.versions.update({ ...row, state: "active", stateAt: now, stateReason, currentFrom: now + refreshBound });
      return { action: "keys.activate", row };
    });
    if (settled === undefined) continue;
    const key = await engine.store.read((tables) => tables.keys.get({ id: keyId }));
    await engine.audit.record({
      action: settled.action,
      outcome: "allowed",
      principal: { source: "engine", id: "settle" },
      version: describeVersion(settled.row).label,
      reason: settled.action === "keys.activate" ? "activation date" : "finished a published rotation",
      ...(key !== undefined && { key: key.name }),
    });
  }
  return candidates.length;
}
