import { KeysteadError } from "../errors.ts";
import { audited } from "./audited.ts";
import { changeState, type StateChangeName, type StateChangeOptions } from "./change-state.ts";
import { assertKeySettings, createKey, type CreateKeyInput } from "./create-key.ts";
import type { DestroyGate } from "./destroy-gate.ts";
import { cancelDestruction, type DestroyOptions, type DestructionStatus, destroyVersion } from "./destroy-version.ts";
import type { Engine } from "./engine.ts";
import { describeKey, findKey, findVersion, type KeyInfo } from "./key-records.ts";
import { readUsage, type VersionUsage } from "./ledger.ts";
import { rotateKey, type RotateKeyOptions } from "./rotate-key.ts";

/** Keys and their lifecycle. Every method that changes something is audited. */
export class KeyService {
  readonly #engine: Engine;
  readonly #gate: DestroyGate;

  constructor(engine: Engine, gate: DestroyGate) {
    this.#engine = engine;
    this.#gate = gate;
  }

  /** {@link createKey} */
  create(input: CreateKeyInput): Promise<KeyInfo> {
    return createKey(this.#engine, input);
  }

  /** Every key, by name. */
  async list(filter: { readonly purpose?: string } = {}): Promise<KeyInfo[]> {
    return this.#engine.store.read(async (tables) => {
      const keys = await tables.keys.list(filter);
      const described = await Promise.all(keys.map((key) => describeKey(tables, key)));
      return described.sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  /** One key by name or alias. @throws KeysteadError `UNKNOWN_KEY` */
  show(nameOrAlias: string): Promise<KeyInfo> {
    return this.#engine.store.read(async (tables) => describeKey(tables, await findKey(tables, nameOrAlias)));
  }

  /** {@link rotateKey} */
  rotate(nameOrAlias: string, options?: RotateKeyOptions): Promise<KeyInfo> {
    return rotateKey(this.#engine, nameOrAlias, options);
  }

  /** Makes a pre-active version active and, when it is the newest, current. */
  activate(nameOrAlias: string, version: number, options?: StateChangeOptions): Promise<KeyInfo> {
    return this.#change("activate", nameOrAlias, version, options);
  }

  /** Stops a version from sealing and opening, in every process within a second, until {@link resume}. */
  suspend(nameOrAlias: string, version: number, options?: StateChangeOptions): Promise<KeyInfo> {
    return this.#change("suspend", nameOrAlias, version, options);
  }

  /** Ends a suspension. */
  resume(nameOrAlias: string, version: number, options?: StateChangeOptions): Promise<KeyInfo> {
    return this.#change("resume", nameOrAlias, version, options);
  }

  /** Stops a version from sealing for good; it still opens. */
  deactivate(nameOrAlias: string, version: number, options?: StateChangeOptions): Promise<KeyInfo> {
    return this.#change("deactivate", nameOrAlias, version, options);
  }

  /** Marks a version as compromised: it seals and opens nothing; re-encryption jobs may still open it. */
  compromise(nameOrAlias: string, version: number, options?: StateChangeOptions): Promise<KeyInfo> {
    return this.#change("compromise", nameOrAlias, version, options);
  }

  /** {@link destroyVersion} */
  destroy(nameOrAlias: string, version: number, options?: DestroyOptions): Promise<DestructionStatus> {
    return destroyVersion(this.#engine, this.#gate, nameOrAlias, version, options);
  }

  /** {@link cancelDestruction} */
  cancelDestroy(nameOrAlias: string, version: number, options?: { readonly reason?: string }): Promise<void> {
    return cancelDestruction(this.#engine, nameOrAlias, version, options);
  }

  /** Counted use of a version, up to now. */
  async usage(nameOrAlias: string, version: number): Promise<VersionUsage> {
    await this.#engine.registry.flush();
    return this.#engine.store.read(async (tables) => {
      const key = await findKey(tables, nameOrAlias);
      await findVersion(tables, key, version);
      return readUsage(tables, key.id, version);
    });
  }

  /**
   * Points an alias to a key; an alias may move.
   * @param alias 1–255 characters, none of them a control character or a lone surrogate, no key's name
   * @throws KeysteadError `INVALID_ARGUMENT`, `NAME_TAKEN`, `UNKNOWN_KEY`
   */
  setAlias(alias: string, nameOrAlias: string): Promise<KeyInfo> {
    return audited(this.#engine, { action: "keys.set-alias", key: nameOrAlias, detail: { alias } }, () =>
      this.#engine.store.transaction(async (tables) => {
        if (alias.length === 0 || alias.length > 255 || !alias.isWellFormed() || /\p{Cc}/u.test(alias)) {
          throw new KeysteadError("INVALID_ARGUMENT", "an alias has 1 to 255 characters and no control characters");
        }
        const [named] = await tables.keys.list({ name: alias });
        if (named !== undefined) throw new KeysteadError("NAME_TAKEN", "a key has this name; an alias needs another");
        const key = await findKey(tables, nameOrAlias);
        const existing = await tables.aliases.get({ alias });
        if (existing === undefined) await tables.aliases.insert({ alias, keyId: key.id });
        else await tables.aliases.update({ ...existing, keyId: key.id });
        return describeKey(tables, key);
      }),
    );
  }

  /** Removes an alias; the key stays. @throws KeysteadError `UNKNOWN_KEY` */
  removeAlias(alias: string): Promise<void> {
    return audited(this.#engine, { action: "keys.remove-alias", detail: { alias } }, () =>
      this.#engine.store.transaction(async (tables) => {
        const existing = await tables.aliases.get({ alias });
        if (existing === undefined) throw new KeysteadError("UNKNOWN_KEY", "no alias has this name; `keystead keys list` shows them");
        await tables.aliases.remove(existing);
      }),
    );
  }

  /** Replaces a key's tags and rotation policy; what is absent stays. @throws KeysteadError `UNKNOWN_KEY`, `INVALID_ARGUMENT` */
  set(
    nameOrAlias: string,
    settings: { readonly tags?: Readonly<Record<string, string>>; readonly rotationDays?: number | null },
  ): Promise<KeyInfo> {
    return audited(this.#engine, { action: "keys.set", key: nameOrAlias }, () =>
      this.#engine.store.transaction(async (tables) => {
        const key = await findKey(tables, nameOrAlias);
        assertKeySettings({ tags: settings.tags ?? {}, rotationDays: settings.rotationDays ?? null });
        return describeKey(
          tables,
          await tables.keys.update({
            ...key,
            ...(settings.tags !== undefined && { tags: JSON.stringify(settings.tags) }),
            ...(settings.rotationDays !== undefined && { rotationDays: settings.rotationDays }),
          }),
        );
      }),
    );
  }

  #change(name: StateChangeName, nameOrAlias: string, version: number, options?: StateChangeOptions): Promise<KeyInfo> {
    return changeState(this.#engine, name, nameOrAlias, version, options);
  }
}
