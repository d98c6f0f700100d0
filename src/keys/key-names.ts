import { KeysteadError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { isAlias, lookUpKey, unknownKey } from "./key-records.ts";
import type { KeysetRegistry } from "./keyset-registry.ts";
import { findPurpose, systemPurpose } from "./purpose-records.ts";
import type { KeyTarget } from "./key-target.ts";

/** A key, as a name leads to it. */
export interface NamedKey {
  readonly id: string;
  /** Its own name, also where an alias or a purpose led to it. */
  readonly name: string;
  readonly purpose: string;
}

/** Names that are remembered at most. */
const remembered = 10_000;

/**
 * Which key a name, an alias or a purpose means. Names and purposes of keys never change; where aliases and purposes lead is asked again
 * after every change of the metadata, by whatever process.
 */
export class KeyNames {
  readonly #store: Store;
  readonly #registry: Pick<KeysetRegistry, "revision">;
  readonly #names = new Map<string, NamedKey>();
  readonly #movable = new Map<string, NamedKey>();
  readonly #datasets = new Map<string, string>();
  #revision = -1;

  constructor(store: Store, registry: Pick<KeysetRegistry, "revision">) {
    this.#store = store;
    this.#registry = registry;
  }

  /** The key that is meant, when that is known without asking the store. */
  recall(target: KeyTarget): NamedKey | undefined {
    const known = typeof target === "string" ? this.#names.get(target) : undefined;
    if (known !== undefined) return known;
    if (this.#revision !== this.#registry.revision) this.forget();
    return this.#movable.get(nameOf(target));
  }

  /**
   * The key that is meant.
   * @throws KeysteadError `UNKNOWN_KEY` for a name of none, and for a purpose without a default key; `UNKNOWN_PURPOSE`
   */
  async find(target: KeyTarget): Promise<NamedKey> {
    return this.recall(target) ?? (await this.#look(target));
  }

  /** Looks anew for what aliases and purposes mean. */
  forget(): void {
    this.#revision = this.#registry.revision;
    this.#movable.clear();
  }

  /** The id of a dataset; empty for none. @throws KeysteadError `UNKNOWN_DATASET` */
  async datasetId(name: string | undefined): Promise<string> {
    if (name === undefined) return "";
    const known = this.#datasets.get(name);
    if (known !== undefined) return known;
    const [row] = isAlias(name) ? await this.#store.read((tables) => tables.datasets.list({ name })) : [];
    if (row === undefined) throw new KeysteadError("UNKNOWN_DATASET", "no dataset has this name; `keystead datasets list` shows them");
    remember(this.#datasets, name, row.id);
    return row.id;
  }

  async #look(target: KeyTarget): Promise<NamedKey> {
    const revision = await this.#store.revision();
    const { id, name, purpose } = await this.#store.read(async (tables) => {
      if (typeof target === "string") {
        const key = await lookUpKey(tables, target);
        if (key === undefined) throw unknownKey(target);
        return key;
      }
      const { defaultKey } = await findPurpose(tables, target.purpose);
      const key = defaultKey === null ? undefined : await tables.keys.get({ id: defaultKey });
      if (key === undefined) throw withoutDefaultKey(target.purpose);
      return key;
    });
    const found = { id, name, purpose };
    if (target === name) remember(this.#names, name, found);
    // What was read before a change that is known by now is not kept.
    else if (revision === this.#registry.revision) remember(this.#movable, nameOf(target), found);
    return found;
  }
}

/** The error for a purpose that means no key. */
function withoutDefaultKey(purpose: string): KeysteadError {
  return new KeysteadError(
    "UNKNOWN_KEY",
    purpose === systemPurpose
      ? "the purpose system is Keystead's own and has no default key; name a purpose of yours, or a key"
      : `purpose ${purpose} has no default key; run \`keystead purposes set ${purpose} --default-key KEY\` or name a key`,
  );
}

function remember<T>(names: Map<string, T>, name: string, value: T): void {
  if (names.size >= remembered) names.clear();
  names.set(name, value);
}

/** No name of a key or alias begins with a control character. */
function nameOf(target: KeyTarget): string {
  return typeof target === "string" ? target : `\0${target.purpose}`;
}
