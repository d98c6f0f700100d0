import { encodeBase64url } from "../crypto/base64url.ts";
import { encodeFields } from "../crypto/encode.ts";
import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { audited } from "./audited.ts";
import { openAuditKey } from "./audit-signer.ts";
import type { DestroyGate, DestructionEvidence, DestructionTarget } from "./destroy-gate.ts";
import type { Engine } from "./engine.ts";
import { day, findKey, findVersion, instant } from "./key-records.ts";
import { describeVersion } from "./keyset.ts";
import { withKeysetKey } from "./rotate-key.ts";
import { KeysetKey } from "./sealed-material.ts";
import { readSettings } from "./settings.ts";
import { assertTransition } from "./version-state.ts";

/** Signed proof of a destruction. `signature`: Ed25519 over `E("keystead certificate v1", statement)`. */
export interface DestructionCertificate {
  /** JSON text, exactly as it was signed: store, key, version, dates, reason, principal, evidence. */
  readonly statement: string;
  /** Label of the signing version of the key `keystead/audit`. */
  readonly signer: string;
  /** SPKI DER, base64url. */
  readonly publicKey: string;
  /** Base64url. */
  readonly signature: string;
}

/** Where a destruction stands. */
export type DestructionStatus =
  | { readonly status: "scheduled"; readonly label: string; readonly executeAfter: string }
  | { readonly status: "destroyed"; readonly label: string; readonly certificate: DestructionCertificate };

/** How a destruction is asked for. */
export interface DestroyOptions {
  readonly reason?: string;
  /** Days to wait, at least the store's setting `destructionWaitingDays`. */
  readonly waitingDays?: number;
}

/**
 * Takes the next step of a destruction: the first call schedules it, a call after the waiting time executes it. Both ask
 * the destroy gate, which stops while anything needs the version. A pre-active version is destroyed at once.
 * @throws KeysteadError `VERSION_IN_USE` naming what needs it, `DESTRUCTION_WAITING` before its time, `KEY_STATE`
 */
export function destroyVersion(
  engine: Engine,
  gate: DestroyGate,
  nameOrAlias: string,
  version: number,
  options: DestroyOptions = {},
): Promise<DestructionStatus> {
  const { reason } = options;
  const act = { action: "keys.destroy", key: nameOrAlias, version: String(version), ...(reason !== undefined && { reason }) };
  return audited(
    engine,
    act,
    async () => {
      const { key, row } = await engine.store.read(async (tables) => {
        const key = await findKey(tables, nameOrAlias);
        return { key, row: await findVersion(tables, key, version) };
      });
      const { label, phase } = describeVersion(row);
      const target = { keyId: key.id, keyName: key.name, version, label };
      if (phase === "pre-active" || phase === "destruction-pending") return execute(engine, gate, target, row, options);
      assertNotCurrent(key, row);
      return schedule(engine, gate, target, options);
    },
    (result) => ({ version: result.label, detail: { status: result.status } }),
  );
}

/**
 * Cancels a scheduled destruction: the version is deactivated (or compromised) again and opens what it may.
 * @throws KeysteadError `KEY_STATE` when none is pending
 */
export function cancelDestruction(
  engine: Engine,
  nameOrAlias: string,
  version: number,
  options: { readonly reason?: string } = {},
): Promise<void> {
  const { reason } = options;
  const act = { action: "keys.cancel-destroy", key: nameOrAlias, version: String(version), ...(reason !== undefined && { reason }) };
  return audited(engine, act, async () => {
    await engine.store.transaction(async (tables) => {
      const row = await findVersion(tables, await findKey(tables, nameOrAlias), version);
      const { label, phase } = describeVersion(row);
      if (phase !== "destruction-pending") throw new KeysteadError("KEY_STATE", `version ${label} is ${phase}: no destruction is pending`);
      await tables.versions.update({
        ...row,
        destroyAt: null,
        stateAt: engine.clock.now(),
        stateReason: reason ?? "destruction cancelled",
      });
    });
    await engine.registry.refresh();
  });
}

async function schedule(engine: Engine, gate: DestroyGate, target: DestructionTarget, options: DestroyOptions): Promise<DestructionStatus> {
  const { blockers } = await gate.examine(target, "schedule");
  assertUnblocked(target, blockers);
  const destroyAt = await engine.store.transaction(async (tables) => {
    const key = await tables.keys.get({ id: target.keyId });
    const row = await tables.versions.get(target);
    if (key === undefined || row === undefined) throw new KeysteadError("CONFLICT", "the key changed meanwhile; run the command again");
    assertNotCurrent(key, row);
    const { phase } = describeVersion(row);
    const retired = phase === "compromised" ? "compromised" : "deactivated";
    if (phase !== retired) assertTransition(target.label, phase, retired);
    assertTransition(target.label, retired, "destruction-pending");
    const { destructionWaitingDays } = await readSettings(tables);
    const waiting = options.waitingDays ?? destructionWaitingDays;
    if (!Number.isSafeInteger(waiting) || waiting < destructionWaitingDays) {
      throw new KeysteadError("INVALID_ARGUMENT", `the waiting time is at least ${String(destructionWaitingDays)} days in this store`);
    }
    const now = engine.clock.now();
    const stateReason = options.reason ?? "destruction scheduled";
    const pending = await tables.versions.update({ ...row, state: retired, stateAt: now, stateReason, destroyAt: now + waiting * day });
    return pending.destroyAt ?? now;
  });
  await engine.registry.refresh();
  return { status: "scheduled", label: target.label, executeAfter: instant(destroyAt) };
}

async function execute(
  engine: Engine,
  gate: DestroyGate,
  target: DestructionTarget,
  row: StoredRecord<"versions">,
  options: DestroyOptions,
): Promise<DestructionStatus> {
  const now = engine.clock.now();
  if (row.destroyAt !== null && now < row.destroyAt) {
    throw new KeysteadError(
      "DESTRUCTION_WAITING",
      `the destruction of version ${target.label} of key ${target.keyName} waits until ${instant(row.destroyAt)}; ` +
        "run the command again then, or `keystead keys cancel-destroy`",
    );
  }
  await engine.registry.flush();
  const { blockers, evidence } = await gate.examine(target, "execute");
  assertUnblocked(target, blockers);
  const certificate = await certify(engine, target, row, evidence, options.reason ?? row.stateReason);
  await eraseMaterial(engine, target, row, certificate);
  await engine.registry.refresh();
  await engine.store.scrub();
  return { status: "destroyed", label: target.label, certificate };
}

/** Re-seals the other versions under a new keyset key, drops the old wraps and leaves a tombstone. */
async function eraseMaterial(
  engine: Engine,
  target: DestructionTarget,
  before: StoredRecord<"versions">,
  certificate: DestructionCertificate,
): Promise<void> {
  const fresh = new KeysetKey(engine.random.bytes(32), engine.random, engine.clock);
  const { records } = await engine.registry.openKeysetKey(target.keyId);
  const uris = records.wraps.map((wrap) => wrap.kekUri);
  const wraps = await Promise.all(uris.map((uri) => fresh.withBytes((bytes) => engine.keks.wrap(target.keyId, bytes, uri))));
  await withKeysetKey(engine, target.keyId, async (tables, opened) => {
    const { keyId, version } = target;
    const row = await tables.versions.get({ keyId, version });
    if (row?.rowVersion !== before.rowVersion) throw new KeysteadError("CONFLICT", "the version changed meanwhile; run the command again");
    for (const other of await tables.versions.list({ keyId })) {
      if (other.version === version || other.material === null) continue;
      const { key } = opened.records;
      const binding = { keyId, version: other.version, usages: key.usages, algorithm: key.algorithm, format: other.materialFormat };
      const bytes = opened.keysetKey.open(other.material, binding).exportBytes();
      await tables.versions.update({ ...other, material: fresh.seal(bytes, binding) });
      bytes.fill(0);
    }
    const now = engine.clock.now();
    await tables.versions.update({ ...row, state: "destroyed", stateAt: now, material: null, destroyAt: null });
    await replaceWraps(tables, keyId, wraps, now);
    const { fingerprint } = row;
    await tables.tombstones.insert({ keyId, version, fingerprint, destroyedAt: now, certificate: JSON.stringify(certificate) });
  });
}

async function replaceWraps(
  tables: StoreTables,
  keyId: string,
  wraps: readonly Omit<StoredRecord<"wraps">, "createdAt" | "rowVersion">[],
  now: number,
): Promise<void> {
  for (const old of await tables.wraps.list({ subject: keyId })) await tables.wraps.remove(old);
  for (const wrap of wraps) await tables.wraps.insert({ ...wrap, createdAt: now });
}

async function certify(
  engine: Engine,
  target: DestructionTarget,
  row: StoredRecord<"versions">,
  evidence: DestructionEvidence,
  reason: string,
): Promise<DestructionCertificate> {
  const signer = await openAuditKey(engine);
  try {
    const statement = JSON.stringify({
      type: "keystead.destruction",
      format: 1,
      store: engine.identity.id,
      key: { id: target.keyId, name: target.keyName },
      version: target.label,
      createdAt: instant(row.createdAt),
      scheduledAt: instant(row.stateAt),
      executedAt: instant(engine.clock.now()),
      reason,
      principal: engine.principal,
      evidence,
    });
    const { label, signature } = signer.sign(encodeFields("keystead certificate v1", statement));
    return { statement, signer: label, publicKey: encodeBase64url(signer.publicKey()), signature: encodeBase64url(signature) };
  } finally {
    await signer.close();
  }
}

function assertNotCurrent(key: StoredRecord<"keys">, row: StoredRecord<"versions">): void {
  const { label, phase } = describeVersion(row);
  if (key.currentVersion === row.version && phase === "active") {
    throw new KeysteadError(
      "VERSION_IN_USE",
      `version ${label} is the current version of key ${key.name}; run \`keystead keys rotate ${key.name}\` and re-encrypt, or deactivate it first`,
    );
  }
  if (phase === "destroyed") throw new KeysteadError("KEY_STATE", `version ${label} of key ${key.name} is destroyed already`);
}

function assertUnblocked(target: DestructionTarget, blockers: readonly string[]): void {
  if (blockers.length === 0) return;
  throw new KeysteadError("VERSION_IN_USE", `version ${target.label} of key ${target.keyName} is still needed: ${blockers.join("; ")}`);
}
