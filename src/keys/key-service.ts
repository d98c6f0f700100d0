import { assertArguments, nullable, number, object, optional, recordOf, text } from "../arguments.ts";
import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { type Act, asked, askedOnKey, auditedOnKey, type Question } from "./audited.ts";
import type { DestructionCertificate } from "./certificate.ts";
import { changeState, stateChangeArguments, type StateChangeOptions } from "./change-state.ts";
import { createKey, type CreateKeyInput } from "./create-key.ts";
import type { DestroyGate } from "./destroy-gate.ts";
import { cancelDestruction, type DestroyOptions, type DestructionStatus, destroyVersion, readCertificate } from "./destroy-version.ts";
import { eachKey } from "./each-key.ts";
import type { Engine } from "./engine.ts";
import { assertKeySettings } from "./key-checks.ts";
import { assertUnchanged, type ChangeOptions, changeOptions } from "./entity-tag.ts";
import { describeKey, findKey, findKeyById, findVersion, isAlias, type KeyInfo, lookUpKey } from "./key-records.ts";
import { readUsage, type VersionUsage } from "./ledger.ts";
import { rotateKey, type RotateKeyOptions } from "./rotate-key.ts";

/** What may be set of a key that exists; what is absent stays. */
export interface KeySettings {
  /** Replaces all tags: at most 50, names of 1 to 128 characters, values of 256 at most. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Days between rotations, 1 to 36,500; `null` removes the policy. */
  readonly rotationDays?: number | null;
}

const keySettings = object<KeySettings>({ tags: optional(recordOf(text)), rotationDays: optional(nullable(number)) });
const keyFilter = object<{ readonly purpose?: string }>({ purpose: optional(text) });
const destroyArguments = {
  nameOrAlias: text,
  version: number,
  options: object<DestroyOptions>({ reason: optional(text), waitingDays: optional(number) }),
};

/** Keys and their lifecycle. Every method that changes something is audited. */
export class KeyService {
  readonly #engine: Engine;
  readonly #gate: DestroyGate;

  constructor(engine: Engine, gate: DestroyGate) {
    this.#engine = engine;
    this.#gate = gate;
  }

  /**
   * Creates a key with version 1, active and current unless it has an activation date.
   * @throws KeysteadError `INVALID_ARGUMENT`, `NAME_TAKEN`, `UNKNOWN_PURPOSE`, `UNKNOWN_ALGORITHM`, `UNKNOWN_KEK`, KEK errors
   * @example
   * await keystead.keys.create({ name: "pii-email", purpose: "pii", rotationDays: 365 });
   */
  create(input: CreateKeyInput): Promise<KeyInfo> {
    return createKey(this.#engine, input);
  }

  /** Every key, by name; Keystead's own, too. */
  async list(filter: { readonly purpose?: string } = {}): Promise<KeyInfo[]> {
    assertArguments({ filter }, { filter: keyFilter });
    const { purpose } = filter;
    return asked(this.#engine, { action: "keys.list", ...(purpose !== undefined && { purpose }), terms: {} }, async () => {
      const { store } = this.#engine;
      const keys = await store.read((tables) => tables.keys.list(filter));
      return eachKey(
        store,
        keys.sort((a, b) => (a.name < b.name ? -1 : 1)),
        describeKey,
      );
    });
  }

  /** One key by name or alias. @throws KeysteadError `UNKNOWN_KEY` */
  async show(nameOrAlias: string): Promise<KeyInfo> {
    assertArguments({ nameOrAlias }, { nameOrAlias: text });
    return askedOnKey(this.#engine, nameOrAlias, { action: "keys.show", terms: {} }, (name) =>
      this.#engine.store.read(async (tables) => describeKey(tables, await findKey(tables, name))),
    );
  }

  /**
   * Makes the next version. It is published first and becomes current after the refresh bound (1 s), when this resolves; earlier
   * versions still open what they sealed.
   * @throws KeysteadError `UNKNOWN_KEY`, `INVALID_ARGUMENT`, `KEY_STATE`, KEK errors
   * @example
   * await keystead.keys.rotate("pii-email", { reason: "yearly rotation" });
   */
  rotate(nameOrAlias: string, options?: RotateKeyOptions): Promise<KeyInfo> {
    return rotateKey(this.#engine, nameOrAlias, options);
  }

  /**
   * Makes a pre-active version active and, when it is the newest, current.
   * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_KEY_VERSION`, `KEY_STATE`
   */
  activate(nameOrAlias: string, version: number, options?: StateChangeOptions): Promise<KeyInfo> {
    return changeState(this.#engine, "activate", nameOrAlias, version, options);
  }

  /**
   * Stops a version from sealing and opening, in every process within a second, until {@link resume}.
   * @throws KeysteadError as {@link activate}
   * @example
   * await keystead.keys.suspend("pii-email", 2, { reason: "incident 4711" });
   */
  suspend(nameOrAlias: string, version: number, options?: StateChangeOptions): Promise<KeyInfo> {
    return changeState(this.#engine, "suspend", nameOrAlias, version, options);
  }

  /** Ends a suspension. @throws KeysteadError as {@link activate} */
  resume(nameOrAlias: string, version: number, options?: StateChangeOptions): Promise<KeyInfo> {
    return changeState(this.#engine, "resume", nameOrAlias, version, options);
  }

  /** Stops a version from sealing for good; it still opens. @throws KeysteadError as {@link activate} */
  deactivate(nameOrAlias: string, version: number, options?: StateChangeOptions): Promise<KeyInfo> {
    return changeState(this.#engine, "deactivate", nameOrAlias, version, options);
  }

  /**
   * Marks a version as compromised: it seals and opens nothing; re-encryption jobs and `rewrap` may still open it.
   * @throws KeysteadError as {@link activate}
   */
  compromise(nameOrAlias: string, version: number, options?: StateChangeOptions): Promise<KeyInfo> {
    return changeState(this.#engine, "compromise", nameOrAlias, version, options);
  }

  /**
   * Takes the next step of a destruction: the first call schedules it, a call after the waiting time executes it. Both stop while
   * anything needs the version. A pre-active version is destroyed at once.
   * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_KEY_VERSION`, `VERSION_IN_USE` naming what needs it, `DESTRUCTION_WAITING`,
   *   `KEY_STATE`, `INVALID_ARGUMENT`, `CONFLICT`
   * @example
   * const { executeAfter } = await keystead.keys.destroy("pii-email", 1, { reason: "retired" });
   */
  async destroy(nameOrAlias: string, version: number, options: DestroyOptions = {}): Promise<DestructionStatus> {
    assertArguments({ nameOrAlias, version, options }, destroyArguments);
    return destroyVersion(this.#engine, this.#gate, nameOrAlias, version, options);
  }

  /**
   * Cancels a scheduled destruction: the version is deactivated, also when it was active before, or compromised as it was, and
   * opens what it may.
   * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_KEY_VERSION`, `KEY_STATE` when none is pending
   */
  async cancelDestroy(nameOrAlias: string, version: number, options: StateChangeOptions = {}): Promise<void> {
    assertArguments({ nameOrAlias, version, options }, stateChangeArguments);
    return cancelDestruction(this.#engine, nameOrAlias, version, options);
  }

  /**
   * The certificate of a version that was destroyed, as {@link destroy} gave it. `verifyCertificate()` proves it, also without the
   * store.
   * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_KEY_VERSION`, `KEY_STATE` when the version is not destroyed
   * @example
   * await writeFile("certificate.json", JSON.stringify(await keystead.keys.certificate("pii-email", 1)));
   */
  async certificate(nameOrAlias: string, version: number): Promise<DestructionCertificate> {
    assertArguments({ nameOrAlias, version }, { nameOrAlias: text, version: number });
    return askedOnKey(this.#engine, nameOrAlias, readOf("keys.certificate", version), (name) =>
      readCertificate(this.#engine, name, version),
    );
  }

  /** Counted use of a version, up to now. @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_KEY_VERSION` */
  async usage(nameOrAlias: string, version: number): Promise<VersionUsage> {
    assertArguments({ nameOrAlias, version }, { nameOrAlias: text, version: number });
    const { registry, store } = this.#engine;
    return askedOnKey(this.#engine, nameOrAlias, readOf("keys.usage", version), async (name) => {
      await registry.flush();
      const { id } = await store.read((tables) => findKey(tables, name));
      const unused = registry.counts.unused(id, version);
      return store.read(async (tables) => {
        await findVersion(tables, await findKeyById(tables, id), version);
        return readUsage(tables, id, version, unused);
      });
    });
  }

  /**
   * Points an alias to a key; an alias may move.
   * @param alias - 1–255 characters, none of them a control character or a lone surrogate, no key's name
   * @throws KeysteadError `INVALID_ARGUMENT`, `NAME_TAKEN`, `UNKNOWN_KEY`
   * @example
   * await keystead.keys.setAlias("current e-mail key", "pii-email");
   */
  async setAlias(alias: string, nameOrAlias: string): Promise<KeyInfo> {
    assertArguments({ alias, nameOrAlias }, { alias: text, nameOrAlias: text });
    const { store } = this.#engine;
    let before: StoredRecord<"keys"> | undefined;
    const questions = (): Promise<Question[]> =>
      store.read(async (tables) => {
        const target = await lookUpKey(tables, nameOrAlias);
        before = await findAliased(tables, alias);
        // Whoever takes a name decides what is sealed under it from then on.
        return [{}, { key: alias, ...(target && { purpose: target.purpose }) }, ...(before === undefined ? [] : [{ key: before.name }])];
      });
    const act = { action: "keys.set-alias", ...aliasDetail(alias), terms: { alias }, questions };
    return auditedOnKey(
      this.#engine,
      nameOrAlias,
      act,
      (keyId) => {
        if (!isAlias(alias)) throw new KeysteadError("INVALID_ARGUMENT", "an alias has 1 to 255 characters and no control characters");
        return this.#changingNames(async (tables) => {
          const [named] = await tables.keys.list({ name: alias });
          if (named !== undefined) throw new KeysteadError("NAME_TAKEN", "a key has this name; an alias needs another");
          const existing = await tables.aliases.get({ alias });
          if (existing?.keyId !== before?.id)
            throw new KeysteadError("CONFLICT", "somebody else moved the alias meanwhile; look at it, then set it again");
          if (existing === undefined) await tables.aliases.insert({ alias, keyId });
          else await tables.aliases.update({ ...existing, keyId });
          return describeKey(tables, await findKeyById(tables, keyId));
        });
      },
      ({ name }) => (before === undefined || before.name === name ? {} : { detail: { alias, from: before.name } }),
    );
  }

  /** Removes an alias; the key stays. @throws KeysteadError `UNKNOWN_KEY` */
  async removeAlias(alias: string): Promise<void> {
    assertArguments({ alias }, { alias: text });
    return auditedOnKey(this.#engine, alias, { action: "keys.remove-alias", ...aliasDetail(alias), terms: {} }, () =>
      this.#changingNames(async (tables) => {
        const existing = isAlias(alias) ? await tables.aliases.get({ alias }) : undefined;
        if (existing === undefined) throw new KeysteadError("UNKNOWN_KEY", "no alias has this name; `keystead keys list` shows them");
        await tables.aliases.remove(existing);
      }),
    );
  }

  /**
   * Replaces a key's tags and rotation policy; what is absent stays.
   * @throws KeysteadError `UNKNOWN_KEY`, `INVALID_ARGUMENT`, `PRECONDITION_FAILED`
   */
  async set(nameOrAlias: string, settings: KeySettings, options: ChangeOptions = {}): Promise<KeyInfo> {
    assertArguments({ nameOrAlias, settings, options }, { nameOrAlias: text, settings: keySettings, options: changeOptions });
    const { tags, rotationDays } = settings;
    const detail = {
      ...(tags !== undefined && { tags: Object.keys(tags).length }),
      ...(rotationDays !== undefined && (rotationDays === null || Number.isFinite(rotationDays)) && { rotationDays }),
    };
    return auditedOnKey(this.#engine, nameOrAlias, { action: "keys.set", detail, terms: { ...settings, ...options } }, (keyId) => {
      assertKeySettings({ tags: tags ?? {}, rotationDays: rotationDays ?? null });
      return this.#engine.store.transaction(async (tables) => {
        const before = await findKeyById(tables, keyId);
        assertUnchanged(await describeKey(tables, before), options);
        const key = await tables.keys.update({
          ...before,
          ...(tags !== undefined && { tags: JSON.stringify(tags) }),
          ...(rotationDays !== undefined && { rotationDays }),
        });
        return describeKey(tables, key);
      });
    });
  }

  /** What follows in this process finds what the change says. */
  async #changingNames<T>(change: (tables: StoreTables) => Promise<T>): Promise<T> {
    const result = await this.#engine.store.transaction(change);
    this.#engine.names.forget();
    return result;
  }
}

/** A look at one version of a key. */
function aliasDetail(alias: string): Pick<Act, "detail"> {
  return isAlias(alias) ? { detail: { alias } } : {};
}

/** The key that an alias points to. */
async function findAliased(tables: StoreTables, alias: string): Promise<StoredRecord<"keys"> | undefined> {
  const row = isAlias(alias) ? await tables.aliases.get({ alias }) : undefined;
  return row && tables.keys.get({ id: row.keyId });
}

function readOf(action: string, version: number): Pick<Act, "action" | "detail" | "terms"> {
  return { action, ...(Number.isSafeInteger(version) && { detail: { version } }), terms: { version } };
}
