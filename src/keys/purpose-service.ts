import { assertArguments, flag, listOf, nullable, number, object, optional, text } from "../arguments.ts";
import { findAlgorithm, isAlgorithmName } from "../crypto/algorithms.ts";
import { KeysteadError } from "../errors.ts";
import type { NewRecord, StoredRecord } from "../store/tables.ts";
import type { StoreTables } from "../store/store.ts";
import { type Act, asked, audited } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { assertUnchanged, type ChangeOptions, changeOptions } from "./entity-tag.ts";
import { assertRotationDays } from "./key-checks.ts";
import { findKey, isAlias } from "./key-records.ts";
import { findPurpose, isPurposeName, systemPurpose } from "./purpose-records.ts";

/** A registered purpose. */
export interface PurposeInfo {
  readonly name: string;
  readonly description: string;
  /** Key that "encrypt for this purpose" means. */
  readonly defaultKey?: string;
  /** Rotation of new keys, in days. */
  readonly rotationDays?: number;
  /** Allowed algorithms of `encrypt` keys; empty: all. */
  readonly algorithms: readonly string[];
  /** Keys need a hardware-backed KEK. */
  readonly hardware: boolean;
}

/** What may be set of a purpose; `null` removes. */
export interface PurposeSettings {
  readonly description?: string;
  readonly defaultKey?: string | null;
  readonly rotationDays?: number | null;
  readonly algorithms?: readonly string[];
  readonly hardware?: boolean;
}

const purposeArguments = {
  name: text,
  settings: object<PurposeSettings>({
    description: optional(text),
    defaultKey: optional(nullable(text)),
    rotationDays: optional(nullable(number)),
    algorithms: optional(listOf(text)),
    hardware: optional(flag),
  }),
};

/** Registered labels of what data a key protects, with their policy. */
export class PurposeService {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Every purpose, by name. */
  async list(): Promise<PurposeInfo[]> {
    return asked(this.#engine, { action: "purposes.list", terms: {} }, () =>
      this.#engine.store.read(async (tables) => {
        const rows = (await tables.purposes.list()).filter((row) => row.name !== systemPurpose);
        return Promise.all(rows.map((row) => describe(tables, row)));
      }),
    );
  }

  /** One purpose. @throws KeysteadError `UNKNOWN_PURPOSE`, `INVALID_ARGUMENT` for Keystead's own */
  async show(name: string): Promise<PurposeInfo> {
    assertArguments({ name }, { name: text });
    return asked(this.#engine, { action: "purposes.show", purpose: name, terms: {} }, () =>
      this.#engine.store.read(async (tables) => describe(tables, await findRegistered(tables, name))),
    );
  }

  /**
   * Registers a purpose.
   * @param name - 1–64 characters of `[a-z0-9-]`, beginning with a letter
   * @throws KeysteadError `INVALID_ARGUMENT`, `NAME_TAKEN`, `UNKNOWN_ALGORITHM`, `UNKNOWN_KEY`
   * @example
   * await keystead.purposes.create("health", { description: "health data", rotationDays: 365 });
   */
  async create(name: string, settings: PurposeSettings = {}): Promise<PurposeInfo> {
    assertArguments({ name, settings }, purposeArguments);
    return audited(
      this.#engine,
      { action: "purposes.create", purpose: name, detail: recordable(name, settings), terms: { ...settings } },
      async () => {
        if (!isPurposeName(name)) {
          throw new KeysteadError("INVALID_ARGUMENT", "a purpose is 1 to 64 lower-case letters, digits or '-', beginning with a letter");
        }
        const row = { name, description: "", defaultKey: null, rotationDays: null, algorithms: "", hardware: 0 };
        return this.#engine.store.transaction(async (tables) => {
          if ((await tables.purposes.get({ name })) !== undefined) {
            throw new KeysteadError("NAME_TAKEN", `a purpose is named ${name} already; change it with \`keystead purposes set\``);
          }
          return describe(tables, await tables.purposes.insert(await withSettings(tables, row, settings)));
        });
      },
    );
  }

  /**
   * Changes a purpose; what is absent stays, `null` removes. Keys that exist stay as they are.
   * @throws KeysteadError `UNKNOWN_PURPOSE`, `UNKNOWN_KEY`, `UNKNOWN_ALGORITHM`, `INVALID_ARGUMENT`, `PRECONDITION_FAILED`
   * @example
   * await keystead.purposes.set("pii", { defaultKey: "pii-email" });
   */
  async set(name: string, settings: PurposeSettings, options: ChangeOptions = {}): Promise<PurposeInfo> {
    assertArguments({ name, settings, options }, { ...purposeArguments, options: changeOptions });
    return audited(
      this.#engine,
      { action: "purposes.set", purpose: name, detail: recordable(name, settings), terms: { ...settings, ...options } },
      async () => {
        const changed = await this.#engine.store.transaction(async (tables) => {
          const row = await findRegistered(tables, name);
          assertUnchanged(await describe(tables, row), options);
          const next = await withSettings(tables, row, settings);
          return describe(tables, await tables.purposes.update({ ...next, rowVersion: row.rowVersion }));
        });
        // What follows in this process finds what the change says.
        this.#engine.names.forget();
        return changed;
      },
    );
  }
}

/** A purpose that people registered. @throws KeysteadError `UNKNOWN_PURPOSE`, `INVALID_ARGUMENT` for the one that nobody did */
async function findRegistered(tables: StoreTables, name: string): Promise<StoredRecord<"purposes">> {
  if (name === systemPurpose) throw new KeysteadError("INVALID_ARGUMENT", "the purpose system is Keystead's own");
  return findPurpose(tables, name);
}

/** What of a change goes into the audit. */
function recordable(name: string, { defaultKey, rotationDays, algorithms, hardware }: PurposeSettings): NonNullable<Act["detail"]> {
  return {
    ...(isPurposeName(name) && { purpose: name }),
    ...(defaultKey !== undefined && (defaultKey === null || isAlias(defaultKey)) && { defaultKey }),
    ...(rotationDays !== undefined && (rotationDays === null || Number.isFinite(rotationDays)) && { rotationDays }),
    ...(algorithms !== undefined && { algorithms: algorithms.filter(isAlgorithmName).join(",") }),
    ...(hardware !== undefined && { hardware }),
  };
}

async function withSettings(tables: StoreTables, row: NewRecord<"purposes">, settings: PurposeSettings): Promise<NewRecord<"purposes">> {
  const { description, rotationDays, algorithms, hardware } = settings;
  if (description !== undefined && (!description.isWellFormed() || description.length > 500 || /\p{Cc}/u.test(description))) {
    throw new KeysteadError("INVALID_ARGUMENT", "a description has 500 characters at most and no control characters");
  }
  assertRotationDays(rotationDays ?? null);
  for (const name of algorithms ?? []) {
    if (findAlgorithm(name).kind === "aead") continue;
    throw new KeysteadError("INVALID_ARGUMENT", `${name} does not encrypt; a purpose allows algorithms of encrypt keys`);
  }
  return {
    name: row.name,
    description: description ?? row.description,
    defaultKey: settings.defaultKey === undefined ? row.defaultKey : await defaultKeyId(tables, row.name, settings.defaultKey),
    rotationDays: rotationDays === undefined ? row.rotationDays : rotationDays,
    algorithms: algorithms === undefined ? row.algorithms : [...new Set(algorithms)].join(","),
    hardware: hardware === undefined ? row.hardware : Number(hardware),
  };
}

async function defaultKeyId(tables: StoreTables, purpose: string, name: string | null): Promise<string | null> {
  if (name === null) return null;
  const key = await findKey(tables, name);
  if (key.purpose === purpose && key.usages === "encrypt") return key.id;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `key ${key.name} is for ${key.usages} and of purpose ${key.purpose}; name a key for encrypt and of purpose ${purpose}`,
  );
}

async function describe(tables: StoreTables, row: StoredRecord<"purposes">): Promise<PurposeInfo> {
  const key = row.defaultKey === null ? undefined : await tables.keys.get({ id: row.defaultKey });
  return {
    name: row.name,
    description: row.description,
    ...(key !== undefined && { defaultKey: key.name }),
    ...(row.rotationDays !== null && { rotationDays: row.rotationDays }),
    algorithms: row.algorithms === "" ? [] : row.algorithms.split(","),
    hardware: row.hardware === 1,
  };
}
