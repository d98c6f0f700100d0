import { assertArguments, choice, date, number, object, optional, recordOf, text } from "../arguments.ts";
import type { Algorithm, KeyUsage } from "../crypto/algorithm.ts";
import { findAlgorithm } from "../crypto/algorithms.ts";
import { isKeyName } from "../crypto/ciphertext.ts";
import { KeysteadError } from "../errors.ts";
import { pickRoute } from "../kek/routes.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { audited } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { assertKeySettings, assertVersionDates } from "./key-checks.ts";
import { describeKey, type KeyInfo } from "./key-records.ts";
import { insertKey, prepareKey } from "./new-key.ts";
import { findPurpose, isPurposeName, systemPurpose } from "./purpose-records.ts";
import { awaitReplication } from "./replication.ts";
import { readHistory, type StoreHistory } from "./store-history.ts";

/** Names that begin so belong to Keystead itself. */
const reservedPrefix = "keystead/";

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
  /** Until then version 1 is pre-active; not in the past. */
  readonly activateAt?: Date;
}

const createKeyInput = object<CreateKeyInput>({
  name: text,
  purpose: text,
  usage: optional(choice(...Object.keys(defaultAlgorithms))),
  algorithm: optional(text),
  tags: optional(recordOf(text)),
  rotationDays: optional(number),
  expiresAt: optional(date),
  activateAt: optional(date),
});

/** How often an act starts again because routes or purposes changed while a KEK was asked. */
const attempts = 10;

/**
 * Creates a key with version 1.
 * @throws KeysteadError `INVALID_ARGUMENT`, `NAME_TAKEN`, `UNKNOWN_PURPOSE`, `UNKNOWN_ALGORITHM`, `UNKNOWN_KEK`, KEK and store errors
 */
export async function createKey(engine: Engine, input: CreateKeyInput): Promise<KeyInfo> {
  assertArguments({ input }, { input: createKeyInput });
  const detail = {
    ...(isPurposeName(input.purpose) && { purpose: input.purpose }),
    ...(input.usage !== undefined && { usage: input.usage }),
  };
  return audited(
    engine,
    { action: "keys.create", key: input.name, purpose: input.purpose, detail, terms: { ...input } },
    async () => {
      assertCreatable(input, engine.clock.now());
      await awaitReplication(engine);
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        const plan = await engine.store.read((tables) => planKey(tables, input));
        if (plan.purpose.hardware === 1) await assertHardware(engine, plan.purpose.name, plan.kekUri);
        const rotationDays = input.rotationDays ?? plan.purpose.rotationDays;
        const { usage, algorithm } = chooseAlgorithm(input, plan.purpose);
        const prepared = await prepareKey(engine, { ...input, usage, algorithm, rotationDays, history: plan.history }, plan.kekUri);
        const created = await engine.store.transaction(async (tables) => {
          const { purpose, kekUri } = await planKey(tables, input);
          // A wrap under a KEK that was replaced meanwhile would be left behind, and lost with the old KEK.
          if (kekUri !== plan.kekUri || purpose.rowVersion !== plan.purpose.rowVersion) return undefined;
          return describeKey(tables, await insertKey(tables, prepared));
        });
        if (created === undefined) continue;
        await awaitReplication(engine).catch((error: unknown) => {
          if (!(error instanceof KeysteadError)) throw error;
          throw new KeysteadError(error.code, `key ${input.name} is made, but seal nothing with it yet: ${error.message}`, {
            cause: error,
          });
        });
        return created;
      }
      throw new KeysteadError(
        "CONFLICT",
        "other processes keep changing the purpose or the routes; run the command again when they are done",
      );
    },
    (key) => ({ version: key.versions[0]?.label ?? "1" }),
  );
}

/** What a key's purpose and the routes say about it now. */
async function planKey(
  tables: StoreTables,
  { name, purpose: purposeName }: CreateKeyInput,
): Promise<{ readonly purpose: StoredRecord<"purposes">; readonly kekUri: string; readonly history: StoreHistory }> {
  if (name.startsWith(reservedPrefix) || purposeName === systemPurpose) {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      `names that begin with ${reservedPrefix} and the purpose system are Keystead's own; choose others`,
    );
  }
  const [taken] = await tables.keys.list({ name });
  if (taken !== undefined) throw new KeysteadError("NAME_TAKEN", `a key is named ${name} already; names are never reused`);
  if ((await tables.aliases.get({ alias: name })) !== undefined) {
    throw new KeysteadError(
      "NAME_TAKEN",
      `an alias is named ${name} and would lead to another key; remove it first, or choose another name`,
    );
  }
  const purpose = await findPurpose(tables, purposeName);
  const { kekUri } = pickRoute(await tables.routes.list(), { purpose: purpose.name, name });
  return { purpose, kekUri, history: await readHistory(tables) };
}

function assertCreatable(input: CreateKeyInput, now: number): void {
  if (!isKeyName(input.name)) {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      "a key name is 1 to 4 segments of letters, digits, '.', '_', '~', '-' joined by '/', 255 characters at most, each beginning with a letter or digit",
    );
  }
  assertVersionDates(input, now);
  assertKeySettings({ tags: input.tags ?? {}, rotationDays: input.rotationDays ?? null });
}

function chooseAlgorithm(
  { usage = "encrypt", ...input }: CreateKeyInput,
  purpose: StoredRecord<"purposes">,
): { readonly usage: KeyUsage; readonly algorithm: Algorithm } {
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
  return { usage, algorithm };
}

async function assertHardware(engine: Engine, purpose: string, kekUri: string): Promise<void> {
  const kek = await engine.keks.handle(kekUri);
  if (kek.hardwareBacked) return;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `purpose ${purpose} wants a hardware-backed KEK and its route leads to ${kekUri}; set another route`,
  );
}
