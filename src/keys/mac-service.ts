import { assertArguments, listOf, object, text, textOrBytes } from "../arguments.ts";
import { parseLabel } from "../crypto/ciphertext.ts";
import { type BatchItem, DataActs, type ItemProblem } from "./data-acts.ts";
import type { Engine } from "./engine.ts";
import type { HandlePool } from "./handle-pool.ts";
import { keyTarget, type KeyTarget } from "./key-target.ts";

/** Data of a batch that is to get a tag. */
export interface MacItem {
  readonly target: KeyTarget;
  readonly data: string | Uint8Array;
}

/** Data of a batch with the tag that it came with. */
export interface VerifyMacItem extends MacItem {
  /** `<label>.<base64url>`, as `mac()` made it. */
  readonly tag: string;
}

const item = { target: keyTarget, data: textOrBytes };
const rules = {
  mac: item,
  macMany: { items: listOf(object<MacItem>(item)) },
  verify: { ...item, tag: text },
  verifyMany: { items: listOf(object<VerifyMacItem>({ ...item, tag: text })) },
} as const;

/** Authentication tags: HMAC-SHA-256 under keys of usage `mac`. */
export class MacService {
  readonly #pool: HandlePool;
  readonly #acts: DataActs;

  constructor(engine: Engine, pool: HandlePool) {
    this.#pool = pool;
    this.#acts = new DataActs(engine);
  }

  /** The tag of data under the current version, `<label>.<base64url>`. @throws KeysteadError as `KeyHandle.mac` */
  async mac(target: KeyTarget, data: string | Uint8Array): Promise<string> {
    assertArguments({ target, data }, rules.mac);
    return this.#acts.perform({ action: "data.mac", target }, async (key) => {
      const result = await this.#pool.use({ key }, (handle) => handle.mac(data));
      return { result, label: labelOf(result) };
    });
  }

  /** True when the tag was made by {@link mac} over the same data. @throws KeysteadError as `KeyHandle.verifyMac` */
  async verifyMac(target: KeyTarget, data: string | Uint8Array, tag: string): Promise<boolean> {
    assertArguments({ target, data, tag }, rules.verify);
    return this.#acts.perform({ action: "data.verify-mac", target, version: versionOf(tag) }, async (key) => ({
      result: await this.#pool.use({ key }, (handle) => handle.verifyMac(data, tag)),
    }));
  }

  /**
   * As {@link mac}, for many.
   * @returns for each item in order its tag, or the problem with it
   * @throws KeysteadError `INVALID_ARGUMENT`, `TOO_LARGE` for more than 1,000 items, `AUDIT_UNAVAILABLE`
   */
  async macMany(items: readonly MacItem[]): Promise<(string | ItemProblem)[]> {
    assertArguments({ items }, rules.macMany);
    const batch = items.map(({ target, data }): BatchItem<string> => ({
      target,
      work: (key) => this.#pool.now({ key }, (handle) => handle.mac(data)),
    }));
    return this.#acts.performEach("data.mac", batch, (tag) => tag, { versionOf: labelOf });
  }

  /** As {@link verifyMac}, for many. @throws KeysteadError as {@link macMany} */
  async verifyMacMany(items: readonly VerifyMacItem[]): Promise<(boolean | ItemProblem)[]> {
    assertArguments({ items }, rules.verifyMany);
    const batch = items.map(({ target, data, tag }): BatchItem<boolean> => ({
      target,
      version: versionOf(tag),
      work: (key) => this.#pool.now({ key }, (handle) => handle.verifyMac(data, tag)),
    }));
    return this.#acts.performEach("data.verify-mac", batch, () => undefined);
  }
}

/** The version that a tag names; undefined for what is no tag: it may be anything. */
function versionOf(tag: string): string | undefined {
  const label = labelOf(tag);
  return parseLabel(label) === undefined ? undefined : label;
}

function labelOf(tag: string): string {
  return tag.slice(0, tag.indexOf("."));
}
