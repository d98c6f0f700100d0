import type { Algorithm, KeyUsage } from "../crypto/algorithm.ts";
import { findAlgorithm } from "../crypto/algorithms.ts";
import { isKeyName } from "../crypto/ciphertext.ts";
import { KeyMaterial } from "../crypto/key-material.ts";
import { randomUuid } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import { pickRoute } from "../kek/routes.ts";
import type { StoreTables } from "../store/store.ts";
import type { NewRecord, StoredRecord } from "../store/tables.ts";
import { audited } from "./audited.ts";
import type { Engine } from "./engine.ts";
import type { WrapRow } from "./kek-ring.ts";
import { describeKey, type KeyInfo, printable } from "./key-records.ts";
import { KeysetKey } from "./sealed-material.ts";

/** Names that begin so belong to Keystead itself. */
export const reservedPrefix = "keystead/";

/** The purpose of Keystead's own keys. */
export const systemPurpose = "system";

const defaultAlgorithms: Readonly<Record<KeyUsage, string | undefined>> = {
  encrypt: "XAES-256-GCM",
  "blind-index": "HMAC-SHA-256",
  mac: "HMAC-SHA-256",
  sign: "Ed25519",
  agree: undefined,
};

/** What a new key is to be. */
export interface CreateKeyInput {
  /** 1–4 segments of `[A-Za-z0-9][A-Za-z0-9._~-]*` joined by `/`, 255 characters in all; never reused. */
  readonly name: string;
  readonly purpose: string;
  /** `encrypt` when absent. */
  readonly usage?: KeyUsage;
  /** By usage when absent: XAES-256-GCM, HMAC-SHA-256, Ed25519. */
  readonly algorithm?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** Days between rotations; the purpose's default when absent. */
  readonly rotationDays?: number;
  /** From then on version 1 protects nothing new. */
  readonly expiresAt?: Date;
  /** Until then version 1 is pre-active. */
  readonly activateAt?: Date;
}

/** The rows of a key that is not stored yet. */
export interface PreparedKey {
  readonly key: NewRecord<"keys">;
  readonly version: NewRecord<"versions">;
  readonly wrap: WrapRow & { readonly createdAt: number };
}

/**
 * Creates a key with version 1.
 * @throws KeysteadError `INVALID_ARGUMENT`, `NAME_TAKEN`, `UNKNOWN_PURPOSE`, `UNKNOWN_ALGORITHM`, `UNKNOWN_KEK`, `KEK_FAILED`
 */
export function createKey(engine: Engine, input: CreateKeyInput): Promise<KeyInfo> {
  const act = { action: "keys.create", key: input.name, detail: { purpose: input.purpose } };
  return audited(engine, act, async () => {
    if (input.name.startsWith(reservedPrefix) || input.purpose === systemPurpose) {
      throw new KeysteadError(
        "INVALID_ARGUMENT",
        `names that begin with ${reservedPrefix} and the purpose system are Keystead's own; choose others`,
      );
    }
    const { purpose, kekUri } = await engine.store.read(async (tables) => {
      const [taken] = isKeyName(input.name) ? await tables.keys.list({ name: input.name }) : [];
      if (taken !== undefined) throw new KeysteadError("NAME_TAKEN", `a key is named ${input.name} already; names are never reused`);
      const purpose = await findPurpose(tables, input.purpose);
      return { purpose, kekUri: pickRoute(await tables.routes.list(), { purpose: purpose.name, name: input.name }).kekUri };
    });
    if (purpose.hardware === 1) await assertHardware(engine, purpose.name, kekUri);
    const algorithm = chooseAlgorithm(input, purpose);
    const prepared = await prepareKey(engine, { ...input, rotationDays: input.rotationDays ?? purpose.rotationDays }, algorithm, kekUri);
    return engine.store.transaction(async (tables) => describeKey(tables, await insertKey(tables, prepared)));
  });
}

/** Finds a registered purpose. @throws KeysteadError `UNKNOWN_PURPOSE` naming those that are registered. */
export async function findPurpose(tables: StoreTables, name: string): Promise<StoredRecord<"purposes">> {
  const purpose = await tables.purposes.get({ name });
  if (purpose !== undefined) return purpose;
  const known = (await tables.purposes.list()).map((row) => row.name).filter((known) => known !== systemPurpose);
  throw new KeysteadError(
    "UNKNOWN_PURPOSE",
    `no purpose is named ${printable(name)}; registered are ${known.join(", ")} (\`keystead purposes create\` registers another)`,
  );
}

/** Makes the rows of a key and wraps its keyset key; stores nothing. */
export async function prepareKey(
  engine: Pick<Engine, "keks" | "random" | "clock">,
  input: Omit<CreateKeyInput, "rotationDays" | "usage" | "algorithm"> & { readonly usage?: KeyUsage; readonly rotationDays: number | null },
  algorithm: Algorithm,
  kekUri: string,
): Promise<PreparedKey> {
  assertCreatable(input);
  assertKeySettings({ tags: input.tags ?? {}, rotationDays: input.rotationDays });
  const { random, clock } = engine;
  const id = randomUuid(random);
  const now = clock.now();
  const keysetKey = new KeysetKey(random.bytes(32), random, clock);
  const wrap = await keysetKey.withBytes((bytes) => engine.keks.wrap(id, bytes, kekUri));
  const preActive = input.activateAt !== undefined && input.activateAt.getTime() > now;
  const key: NewRecord<"keys"> = {
    id,
    name: input.name,
    purpose: input.purpose,
    usages: input.usage ?? "encrypt",
    algorithm: algorithm.name,
    tags: JSON.stringify(input.tags ?? {}),
    rotationDays: input.rotationDays,
    currentVersion: preActive ? null : 1,
    createdAt: now,
  };
  const version = sealNewVersion(engine, keysetKey, key, 1, {
    state: preActive ? "pre-active" : "active",
    stateReason: "created",
    activateAt: input.activateAt?.getTime() ?? null,
    currentFrom: null,
    expiresAt: input.expiresAt?.getTime() ?? null,
  });
  return { key, version, wrap: { ...wrap, createdAt: now } };
}

/** Stores a prepared key. @throws KeysteadError `NAME_TAKEN` */
export async function insertKey(tables: StoreTables, { key, version, wrap }: PreparedKey): Promise<StoredRecord<"keys">> {
  await tables.wraps.insert(wrap);
  await tables.versions.insert(version);
  return tables.keys.insert(key);
}

/** The row of a new version with fresh, sealed material. */
export function sealNewVersion(
  { random, clock }: Pick<Engine, "random" | "clock">,
  keysetKey: KeysetKey,
  key: Pick<NewRecord<"keys">, "id" | "usages" | "algorithm">,
  version: number,
  facts: Pick<NewRecord<"versions">, "state" | "stateReason" | "activateAt" | "currentFrom" | "expiresAt">,
): NewRecord<"versions"> {
  const algorithm = findAlgorithm(key.algorithm);
  const material = KeyMaterial.generate(algorithm, random);
  const format = algorithm.materialFormat;
  const now = clock.now();
  const bytes = material.exportBytes();
  const sealed = keysetKey.seal(bytes, { keyId: key.id, version, usages: key.usages, algorithm: key.algorithm, format });
  bytes.fill(0);
  return {
    keyId: key.id,
    version,
    fingerprint: material.fingerprint(key.id, version),
    stateAt: now,
    materialFormat: format,
    material: sealed,
    publicKey: material.publicKeyDer() ?? null,
    createdAt: now,
    destroyAt: null,
    ...facts,
  };
}

function assertCreatable(input: Pick<CreateKeyInput, "name" | "expiresAt" | "activateAt">): void {
  if (!isKeyName(input.name)) {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      "a key name is 1 to 4 segments of letters, digits, '.', '_', '~', '-' joined by '/', 255 characters at most, each beginning with a letter or digit",
    );
  }
  for (const date of [input.expiresAt, input.activateAt]) assertDate(date);
  if (input.expiresAt !== undefined && input.activateAt !== undefined && input.expiresAt <= input.activateAt) {
    throw new KeysteadError("INVALID_ARGUMENT", "a key version can't expire before it is active; choose a later expiry");
  }
}

/** @throws KeysteadError `INVALID_ARGUMENT` for an invalid date. */
export function assertDate(date: Date | undefined): void {
  if (date === undefined || !Number.isNaN(date.getTime())) return;
  throw new KeysteadError("INVALID_ARGUMENT", "a date is not valid; write it as 2027-01-31 or 2027-01-31T12:00:00Z");
}

/** Checks tags and rotation policy. @throws KeysteadError `INVALID_ARGUMENT` naming the bounds. */
export function assertKeySettings(settings: {
  readonly tags: Readonly<Record<string, string>>;
  readonly rotationDays: number | null;
}): void {
  const tags: [string, unknown][] = Object.entries(settings.tags);
  const fits = (text: unknown, least: number, most: number): boolean =>
    typeof text === "string" && text.isWellFormed() && text.length >= least && text.length <= most;
  if (tags.length > 50 || !tags.every(([name, value]) => fits(name, 1, 128) && fits(value, 0, 256))) {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      "tags are at most 50 pairs of well-formed strings: names of 1 to 128 characters, values of 256 at most",
    );
  }
  assertRotationDays(settings.rotationDays);
}

/** @throws KeysteadError `INVALID_ARGUMENT` outside 1…36500 days. */
export function assertRotationDays(days: number | null): void {
  if (days === null || (Number.isSafeInteger(days) && days >= 1 && days <= 36500)) return;
  throw new KeysteadError("INVALID_ARGUMENT", "rotation takes a whole number of days from 1 to 36500");
}

function chooseAlgorithm(input: CreateKeyInput, purpose: StoredRecord<"purposes">): Algorithm {
  const usage = input.usage ?? "encrypt";
  const name = input.algorithm ?? defaultAlgorithms[usage];
  if (name === undefined) throw new KeysteadError("INVALID_ARGUMENT", `no algorithm is known for usage ${usage}; choose another usage`);
  const algorithm = findAlgorithm(name);
  if (!algorithm.usages.some((allowed) => allowed === usage)) {
    throw new KeysteadError("INVALID_ARGUMENT", `${algorithm.name} is for ${algorithm.usages.join(", ")}, not for ${usage}`);
  }
  const allowed = purpose.algorithms === "" ? [] : purpose.algorithms.split(",");
  if (usage === "encrypt" && allowed.length > 0 && !allowed.includes(algorithm.name)) {
    throw new KeysteadError("INVALID_ARGUMENT", `purpose ${purpose.name} allows ${allowed.join(", ")}; choose one of these`);
  }
  return algorithm;
}

async function assertHardware(engine: Engine, purpose: string, kekUri: string): Promise<void> {
  const kek = await engine.keks.handle(kekUri);
  if (kek.hardwareBacked) return;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `purpose ${purpose} wants a hardware-backed KEK and its route leads to ${kekUri}; set another route`,
  );
}
