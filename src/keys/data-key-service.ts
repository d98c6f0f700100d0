import { assertArguments, flag, listOf, number, object, optional, recordOf, text, textOrBytes } from "../arguments.ts";
import { labelOf } from "../crypto/ciphertext.ts";
import type { Context } from "../crypto/context.ts";
import { KeysteadError } from "../errors.ts";
import { type BatchItem, type DataAct, DataActs, type ItemProblem } from "./data-acts.ts";
import type { Engine } from "./engine.ts";
import type { HandlePool } from "./handle-pool.ts";
import type { NamedKey } from "./key-names.ts";
import { keyTarget, type KeyTarget } from "./key-target.ts";
import { parseSealed, tryParseSealed } from "./parse-sealed.ts";

/** How a data key is made. */
export interface DataKeyOptions {
  /** String pairs that must be given again to open it. */
  readonly context?: Context;
  /** 16 to 64; 32 when absent. */
  readonly bytes?: number;
  /** False: only the sealed form is answered, for somebody who stores it and may not see it. Default true. */
  readonly plain?: boolean;
}

/** A fresh data key. */
export interface DataKey {
  /** The key, sealed: what is stored beside the data. */
  readonly ciphertext: string;
  /** The key itself, when it was asked for: use it and forget it. */
  readonly plaintext?: Buffer;
}

/** A data key of a batch. */
export interface DataKeyItem extends DataKeyOptions {
  readonly target: KeyTarget;
}

/** A sealed data key of a batch. */
export interface SealedDataKeyItem {
  readonly ciphertext: string;
  readonly context?: Context;
}

const bounds = { least: 16, initial: 32, most: 64 } as const;
const optionShape = { context: optional(recordOf(text)), bytes: optional(number), plain: optional(flag) };
const rules = {
  create: { target: keyTarget, options: object<DataKeyOptions>(optionShape) },
  createMany: { items: listOf(object<DataKeyItem>({ target: keyTarget, ...optionShape })) },
  open: { ciphertext: textOrBytes, options: object<{ readonly context?: Context }>({ context: optional(recordOf(text)) }) },
  openMany: { items: listOf(object<SealedDataKeyItem>({ ciphertext: text, context: optional(recordOf(text)) })) },
} as const;

/** Keys that encrypt data elsewhere: made here, and stored beside the data under a key of this store. */
export class DataKeyService {
  readonly #engine: Engine;
  readonly #pool: HandlePool;
  readonly #acts: DataActs;

  constructor(engine: Engine, pool: HandlePool) {
    this.#engine = engine;
    this.#pool = pool;
    this.#acts = new DataActs(engine);
  }

  /**
   * Makes a data key, sealed under the current version as a kind of its own: it opens as a data key and as nothing else.
   * @throws KeysteadError as `encrypt`; `INVALID_ARGUMENT` for a length out of bounds
   * @example
   * const { plaintext, ciphertext } = await keystead.dataKeys.create("files", { context: { file: "42" } });
   */
  async create(target: KeyTarget, options: DataKeyOptions = {}): Promise<DataKey> {
    assertArguments({ target, options }, rules.create);
    assertLength(options);
    return this.#acts.perform(createAct(target, options), async (key) => {
      const result = await this.#create(key, options);
      return { result, label: labelOf(result.ciphertext) };
    });
  }

  /**
   * Makes many data keys, each asked for and failing alone.
   * @returns for each item in order its data key, or the problem with it
   * @throws KeysteadError `INVALID_ARGUMENT`, `TOO_LARGE` for more than 1,000 items, `AUDIT_UNAVAILABLE`
   */
  async createMany(items: readonly DataKeyItem[]): Promise<(DataKey | ItemProblem)[]> {
    assertArguments({ items }, rules.createMany);
    const batch = items.map(({ target, ...options }): BatchItem<DataKey> => {
      const { action } = createAct(target, options);
      return { action, target, context: options.context, work: (key) => this.#create(key, options) };
    });
    return this.#acts.performEach("data-keys.create", batch, ({ ciphertext }) => ciphertext, {
      versionOf: ({ ciphertext }) => labelOf(ciphertext),
    });
  }

  /**
   * Opens what {@link create} sealed.
   * @throws KeysteadError as `decrypt`
   * @example
   * const key = await keystead.dataKeys.open(ciphertext, { context: { file: "42" } });
   */
  async open(ciphertext: string | Uint8Array, options: { readonly context?: Context } = {}): Promise<Buffer> {
    assertArguments({ ciphertext, options }, rules.open);
    const parsed = parseSealed(ciphertext);
    const { context } = options;
    return this.#acts.perform({ action: "data-keys.open", target: parsed.key, version: parsed.label, context }, async (key) => ({
      result: await this.#pool.use({ key }, (handle) => handle.openBytes("data-key", parsed, context)),
    }));
  }

  /** As {@link open}, for many. @throws KeysteadError as {@link createMany} */
  async openMany(items: readonly SealedDataKeyItem[]): Promise<(Buffer | ItemProblem)[]> {
    assertArguments({ items }, rules.openMany);
    const batch = items.map(({ ciphertext, context }): BatchItem<Buffer> => {
      const parsed = tryParseSealed(ciphertext);
      if (parsed instanceof KeysteadError) return { ciphertext, problem: parsed };
      const work = (key: NamedKey): Promise<Buffer> | Buffer =>
        this.#pool.now({ key }, (handle) => handle.openBytes("data-key", parsed, context));
      return { target: parsed.key, version: parsed.label, context, ciphertext, work };
    });
    return this.#acts.performEach("data-keys.open", batch, () => undefined);
  }

  async #create(key: NamedKey, options: DataKeyOptions): Promise<DataKey> {
    const { context, bytes = bounds.initial, plain = true } = options;
    assertLength(options);
    const plaintext = this.#engine.random.bytes(bytes);
    const ciphertext = String(await this.#pool.use({ key }, (handle) => handle.sealBytes("data-key", "text", plaintext, context)));
    if (plain) return { ciphertext, plaintext };
    plaintext.fill(0);
    return { ciphertext };
  }
}

/** To see a data key is another act than to have one made. */
function createAct(target: KeyTarget, { context, plain = true }: DataKeyOptions): DataAct {
  return { action: plain ? "data-keys.create-plain" : "data-keys.create", target, context };
}

function assertLength({ bytes = bounds.initial }: DataKeyOptions): void {
  if (Number.isSafeInteger(bytes) && bytes >= bounds.least && bytes <= bounds.most) return;
  throw new KeysteadError("INVALID_ARGUMENT", `a data key has ${String(bounds.least)} to ${String(bounds.most)} bytes`);
}
