import { KeysteadError } from "../errors.ts";
import type { StoredRecord } from "../store/tables.ts";
import { tampered } from "../store/tampered.ts";
import { auditedOnKey } from "./audited.ts";
import { currentSigner, openAuditKey } from "./audit-signer.ts";
import { type DestructionCertificate, parseCertificate, signCertificate } from "./certificate.ts";
import type { DestroyGate, DestructionEvidence, DestructionTarget } from "./destroy-gate.ts";
import type { Engine } from "./engine.ts";
import { day, findKey, findKeyById, findVersion, instant } from "./key-records.ts";
import { withKeysetKey } from "./keyset-key.ts";
import { describeVersion } from "./keyset.ts";
import { refreshQuietly } from "./rotate-key.ts";
import { KeysetKey } from "./sealed-material.ts";
import { readSettings, type Settings } from "./settings.ts";
import { assertTransition } from "./version-state.ts";

/** Where a destruction stands. */
export type DestructionStatus =
  | { readonly status: "scheduled"; readonly label: string; readonly executeAfter: string }
  | {
      readonly status: "destroyed";
      readonly label: string;
      readonly certificate: DestructionCertificate;
      /** False when remains of the material could not be removed from the store's files at once; closing the last process does it. */
      readonly scrubbed: boolean;
    };

/** How a destruction is asked for. */
export interface DestroyOptions {
  /** 1 to 1,024 characters; goes into the certificate. */
  readonly reason?: string;
  /** Days to wait, from the store's setting `destructionWaitingDays` to 36,500. */
  readonly waitingDays?: number;
}

const longestWaitingDays = 36_500;

/** A version on its way to its end, as it was when the act began. */
interface Condemned extends DestructionTarget {
  readonly row: StoredRecord<"versions">;
}

/**
 * Takes the next step of a destruction: the first call schedules it, a call after the waiting time executes it. Both ask
 * the destroy gate, which stops while anything needs the version. A pre-active version is destroyed at once.
 * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_KEY_VERSION`, `VERSION_IN_USE` naming what needs it, `DESTRUCTION_WAITING`
 *   before its time, `KEY_STATE`, `INVALID_ARGUMENT`, `CONFLICT` when somebody else changed the version's state meanwhile
 */
export function destroyVersion(
  engine: Engine,
  gate: DestroyGate,
  nameOrAlias: string,
  version: number,
  options: DestroyOptions = {},
): Promise<DestructionStatus> {
  const { reason, waitingDays } = options;
  const act = {
    action: "keys.destroy",
    version,
    ...(reason !== undefined && { reason }),
    terms: { waitingDays },
    approvedIn: "destruction-pending" as const,
  };
  return auditedOnKey(
    engine,
    nameOrAlias,
    act,
    async (keyId, approved) => {
      const { key, row } = await engine.store.read(async (tables) => {
        const key = await findKeyById(tables, keyId);
        return { key, row: await findVersion(tables, key, version) };
      });
      const { label, phase } = describeVersion(row);
      if (approved && phase !== "destruction-pending") throw changedMeanwhile();
      const target = { keyId, keyName: key.name, version, label, row };
      if (phase === "pre-active" || phase === "destruction-pending") return execute(engine, gate, target, options);
      assertNotCurrent(key, row);
      return schedule(engine, gate, target, options);
    },
    ({ label, status, ...result }) => ({
      version: label,
      detail: { status, ...("scrubbed" in result && { scrubbed: result.scrubbed }) },
    }),
  );
}

/**
 * Cancels a scheduled destruction: the version is deactivated, or compromised if it was, and opens what that state permits.
 * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_KEY_VERSION`, `KEY_STATE` when none is pending
 */
export function cancelDestruction(
  engine: Engine,
  nameOrAlias: string,
  version: number,
  { reason }: { readonly reason?: string } = {},
): Promise<void> {
  const act = { action: "keys.cancel-destroy", version, ...(reason !== undefined && { reason }), terms: {} };
  return auditedOnKey(engine, nameOrAlias, act, async (keyId) => {
    await engine.store.transaction(async (tables) => {
      const row = await findVersion(tables, await findKeyById(tables, keyId), version);
      const { label, phase } = describeVersion(row);
      if (phase !== "destruction-pending") throw new KeysteadError("KEY_STATE", `version ${label} is ${phase}: no destruction is pending`);
      await tables.versions.update({
        ...row,
        destroyAt: null,
        stateAt: engine.clock.now(),
        stateReason: reason ?? "destruction cancelled",
      });
    });
    await refreshQuietly(engine);
  });
}

async function schedule(engine: Engine, gate: DestroyGate, target: Condemned, options: DestroyOptions): Promise<DestructionStatus> {
  const { keyId, version, label } = target;
  assertWaitingDays(options.waitingDays, await engine.store.read(readSettings));
  assertUnblocked(target, (await gate.examine(target, "schedule")).blockers);
  const destroyAt = await engine.store.transaction(async (tables) => {
    const key = await findKeyById(tables, keyId);
    const row = await findVersion(tables, key, version);
    assertNotCurrent(key, row);
    const { phase } = describeVersion(row);
    // Somebody else scheduled it meanwhile: his date and reason stand.
    if (row.destroyAt !== null) return row.destroyAt;
    const retired = phase === "compromised" ? "compromised" : "deactivated";
    if (phase !== retired) assertTransition(label, phase, retired);
    assertTransition(label, retired, "destruction-pending");
    const now = engine.clock.now();
    const stateReason = options.reason ?? "destruction scheduled";
    const destroyAt = now + assertWaitingDays(options.waitingDays, await readSettings(tables)) * day;
    await tables.versions.update({ ...row, state: retired, stateAt: now, stateReason, destroyAt });
    return destroyAt;
  });
  await refreshQuietly(engine);
  return { status: "scheduled", label, executeAfter: instant(destroyAt) };
}

/** The days to wait. @throws KeysteadError `INVALID_ARGUMENT` outside the bounds */
function assertWaitingDays(days: number | undefined, { destructionWaitingDays: least }: Settings): number {
  const waiting = days ?? least;
  if (Number.isSafeInteger(waiting) && waiting >= least && waiting <= longestWaitingDays) return waiting;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `the waiting time is a whole number of days, at least ${String(least)} in this store and ${String(longestWaitingDays)} at most`,
  );
}

async function execute(engine: Engine, gate: DestroyGate, target: Condemned, options: DestroyOptions): Promise<DestructionStatus> {
  const { row, label, keyName } = target;
  if (row.destroyAt !== null && engine.clock.now() < row.destroyAt) {
    throw new KeysteadError(
      "DESTRUCTION_WAITING",
      `the destruction of version ${label} of key ${keyName} waits until ${instant(row.destroyAt)}; ` +
        "run the command again then, or `keystead keys cancel-destroy`",
    );
  }
  await engine.registry.flush();
  // Nothing brings a key back that was destroyed on forged evidence.
  const findings = await engine.store.verify();
  if (findings.length > 0) throw tampered(findings);
  const { blockers, evidence } = await gate.examine(target, "execute");
  assertUnblocked(target, blockers);
  const reason = options.reason ?? (row.destroyAt === null ? "destroyed while pre-active" : row.stateReason);
  const certificate = await certify(engine, target, evidence, reason);
  await eraseMaterial(engine, target, reason, certificate);
  await refreshQuietly(engine);
  return { status: "destroyed", label, certificate, scrubbed: await scrub(engine.store) };
}

/** Removes what deleted rows left in the store's files; false when it can't be done now. The destruction stands. */
async function scrub(store: Engine["store"]): Promise<boolean> {
  try {
    await store.scrub();
    return true;
  } catch {
    return false;
  }
}

/** Re-seals the other versions under a new keyset key, drops the old wraps and leaves a tombstone. */
function eraseMaterial(
  engine: Engine,
  { keyId, version, row: before }: Condemned,
  stateReason: string,
  certificate: DestructionCertificate,
): Promise<void> {
  return withKeysetKey(engine, keyId, async ({ key, wraps, keysetKey }) => {
    const fresh = KeysetKey.generate(engine.random, engine.clock);
    const freshWraps = await fresh.withBytes((bytes) => Promise.all(wraps.map(({ kekUri }) => engine.keks.wrap(keyId, bytes, kekUri))));
    return async (tables) => {
      const versions = await tables.versions.list({ keyId });
      const row = versions.find((candidate) => candidate.version === version);
      assertUnchanged(before, row);
      for (const other of versions) {
        if (other.version === version || other.material === null) continue;
        const binding = { keyId, version: other.version, usages: key.usages, algorithm: key.algorithm, format: other.materialFormat };
        const bytes = keysetKey.open(other.material, binding).exportBytes();
        try {
          await tables.versions.update({ ...other, material: fresh.seal(bytes, binding) });
        } finally {
          bytes.fill(0);
        }
      }
      const now = engine.clock.now();
      const { fingerprint } = before;
      await tables.versions.update({ ...row, state: "destroyed", stateAt: now, stateReason, material: null, destroyAt: null });
      for (const old of await tables.wraps.list({ subject: keyId })) await tables.wraps.remove(old);
      for (const wrap of freshWraps) await tables.wraps.insert({ ...wrap, createdAt: now });
      await tables.tombstones.insert({ keyId, version, fingerprint, destroyedAt: now, certificate: JSON.stringify(certificate) });
    };
  });
}

/** The certificate speaks of a version in this state since then; its material may have been sealed anew meanwhile. */
function assertUnchanged(
  before: StoredRecord<"versions">,
  row: StoredRecord<"versions"> | undefined,
): asserts row is StoredRecord<"versions"> {
  if (row?.state === before.state && row.stateAt === before.stateAt && row.destroyAt === before.destroyAt) return;
  if (row?.state === "destroyed") throw destroyedAlready(row);
  throw changedMeanwhile();
}

function changedMeanwhile(): KeysteadError {
  return new KeysteadError(
    "CONFLICT",
    "the state of the version changed meanwhile; look at it with `keystead keys show`, then decide again",
  );
}

async function certify(
  engine: Engine,
  { row, ...target }: Condemned,
  evidence: DestructionEvidence,
  reason: string,
): Promise<DestructionCertificate> {
  const audit = await openAuditKey(engine);
  try {
    return signCertificate(currentSigner(audit), {
      store: engine.identity.id,
      key: { id: target.keyId, name: target.keyName },
      version: target.label,
      createdAt: instant(row.createdAt),
      ...(row.destroyAt !== null && { scheduledAt: instant(row.stateAt) }),
      executedAt: instant(engine.clock.now()),
      reason,
      principal: engine.caller.principal,
      evidence,
    });
  } finally {
    await audit.close();
  }
}

/**
 * The certificate of a version that was destroyed.
 * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_KEY_VERSION`, `KEY_STATE` when it is not destroyed
 */
export function readCertificate(engine: Engine, nameOrAlias: string, version: number): Promise<DestructionCertificate> {
  return engine.store.read(async (tables) => {
    const key = await findKey(tables, nameOrAlias);
    const { label, phase } = describeVersion(await findVersion(tables, key, version));
    if (phase !== "destroyed") {
      throw new KeysteadError("KEY_STATE", `version ${label} of key ${key.name} is ${phase}: its certificate is made when it is destroyed`);
    }
    const tombstone = await tables.tombstones.get({ keyId: key.id, version });
    const certificate = tombstone && parseCertificate(tombstone.certificate);
    if (certificate !== undefined) return certificate;
    throw new KeysteadError("STORE_TAMPERED", `version ${label} of key ${key.name} is destroyed without a certificate; restore a backup`);
  });
}

function assertNotCurrent(key: StoredRecord<"keys">, row: StoredRecord<"versions">): void {
  const { label, phase } = describeVersion(row);
  if (phase === "destroyed") throw destroyedAlready(row);
  if (key.currentVersion === row.version && phase === "active") {
    throw new KeysteadError(
      "VERSION_IN_USE",
      `version ${label} is the current version of key ${key.name}; run \`keystead keys rotate ${key.name}\` and re-encrypt, or deactivate it first`,
    );
  }
}

function destroyedAlready(row: StoredRecord<"versions">): KeysteadError {
  return new KeysteadError("KEY_STATE", `version ${describeVersion(row).label} is destroyed already`);
}

function assertUnblocked(target: DestructionTarget, blockers: readonly string[]): void {
  if (blockers.length === 0) return;
  throw new KeysteadError("VERSION_IN_USE", `version ${target.label} of key ${target.keyName} is still needed: ${blockers.join("; ")}`);
}
