import { anything, assertArguments, flag, having, listOf, object, optional, recordOf, text, textOrBytes } from "../arguments.ts";
import { type CiphertextHeader, labelOf, type ParsedCiphertext } from "../crypto/ciphertext.ts";
import type { Context } from "../crypto/context.ts";
import { formatStreamHeader, readStreamHeader } from "../crypto/stream-header.ts";
import { fileKeyBytes, openChunks, sealChunks, streamPrefix } from "../crypto/stream.ts";
import { decodeUtf8 } from "../crypto/text.ts";
import { encodeTypedValue, type FieldValue } from "../crypto/typed-value.ts";
import { KeysteadError } from "../errors.ts";
import { auditedOnKey } from "./audited.ts";
import { type BatchItem, type DataAct, DataActs, type ItemProblem, namedBy, type Way } from "./data-acts.ts";
import type { Engine } from "./engine.ts";
import { type HandlePool, openingActs } from "./handle-pool.ts";
import type { KeyHandle } from "./key-handle.ts";
import type { NamedKey } from "./key-names.ts";
import { keyTarget, type KeyTarget } from "./key-target.ts";
import { openEitherKind } from "./open-either-kind.ts";
import { parseSealed, tryParseSealed } from "./parse-sealed.ts";
import { permits } from "./version-state.ts";

/** What an operation on data is bound to. */
export interface CipherOptions {
  /** String pairs that must be given again to open. Visible to policy and audit: never personal data. */
  readonly context?: Context;
}

/** What sealing is bound to. */
export interface SealOptions extends CipherOptions {
  /** Name of the dataset that will hold the ciphertext: the census speaks for it then. */
  readonly dataset?: string;
}

/** What re-wrapping is bound to. */
export interface RewrapOptions extends SealOptions {
  /** Key to move to; the ciphertext's own when absent. */
  readonly key?: KeyTarget;
}

/** What {@link CipherService.encryptMany} seals: text or bytes as they are, or a value with its type. */
export interface EncryptItem extends SealOptions {
  readonly target: KeyTarget;
  /** One of the two. */
  readonly plaintext?: string | Uint8Array;
  readonly value?: FieldValue;
}

/** What {@link CipherService.decryptMany} opens. */
export interface DecryptItem extends CipherOptions {
  readonly ciphertext: string | Uint8Array;
  /** True for ciphertext of `encryptValue()`. */
  readonly typed?: boolean;
  /** True for text: what is not UTF-8 is refused. */
  readonly text?: boolean;
}

/** What {@link CipherService.rewrapMany} moves. */
export interface RewrapItem extends RewrapOptions {
  readonly ciphertext: string;
}

/** What an item of {@link CipherService.decryptMany} opened to. */
export type OpenedItem =
  { readonly plaintext: Buffer; readonly value?: undefined } | { readonly value: FieldValue; readonly plaintext?: undefined };

const target = keyTarget;
const context = optional(recordOf(text));
const dataset = optional(text);
const sealItem = object<EncryptItem>({ target, plaintext: optional(textOrBytes), value: anything, context, dataset });
const openItem = object<DecryptItem>({ ciphertext: textOrBytes, context, typed: optional(flag), text: optional(flag) });
const rewrapItem = object<RewrapItem>({ ciphertext: text, context, dataset, key: optional(target) });
const source = having("an async iterable of bytes (a Uint8Array each)", Symbol.asyncIterator);
const rules = {
  openKey: { target, options: object<{ readonly dataset?: string }>({ dataset }) },
  seal: { target, plaintext: textOrBytes, options: object<SealOptions>({ context, dataset }) },
  sealValue: { target, options: object<SealOptions>({ context, dataset }) },
  open: { sealed: textOrBytes, options: object<CipherOptions>({ context }) },
  rewrap: { sealed: textOrBytes, options: object<RewrapOptions>({ context, dataset, key: optional(target) }) },
  sealStream: { target, source, options: object<SealOptions>({ context, dataset }) },
  openStream: { source, options: object<CipherOptions>({ context }) },
  sealMany: { items: listOf(sealItem) },
  openMany: { items: listOf(openItem) },
  rewrapMany: { items: listOf(rewrapItem) },
  rewrapStream: { source, options: object<RewrapOptions>({ context, dataset, key: optional(target) }) },
} as const;

/**
 * Encryption by key name or purpose, asynchronous. Every call asks access control; what is recorded of it says {@link DataActs}. For hot
 * paths of a program that links the library {@link open} gives a synchronous handle.
 */
export class CipherService {
  readonly #engine: Engine;
  readonly #pool: HandlePool;
  readonly #acts: DataActs;

  constructor(engine: Engine, pool: HandlePool) {
    this.#engine = engine;
    this.#pool = pool;
    this.#acts = new DataActs(engine);
  }

  /**
   * Opens a key for synchronous use. The opening is audited, its use is counted.
   * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_PURPOSE`, `UNKNOWN_DATASET`, `KEK_FAILED`, `WRONG_MASTER_KEY`
   */
  async open(target: KeyTarget, options: { readonly dataset?: string } = {}): Promise<KeyHandle> {
    assertArguments({ target, options }, rules.openKey);
    const { dataset } = options;
    const { names } = this.#engine;
    const name = typeof target === "string" ? target : (await names.find(target)).name;
    return auditedOnKey(
      this.#engine,
      name,
      { action: openingActs.open, ...(dataset !== undefined && { dataset }), terms: {} },
      async (keyId) => this.#pool.open(keyId, { datasetId: await names.datasetId(dataset), opening: "open" }),
    );
  }

  /** Seals text or bytes under the current version, as text. @throws KeysteadError as {@link KeyHandle.encrypt} and {@link open} */
  async encrypt(target: KeyTarget, plaintext: string | Uint8Array, options: SealOptions = {}): Promise<string> {
    assertArguments({ target, plaintext, options }, rules.seal);
    return await this.#seal(target, options, (key) => key.encrypt(plaintext, options.context));
  }

  /** As {@link encrypt}, in the binary form. @throws KeysteadError as {@link encrypt} */
  async encryptBytes(target: KeyTarget, plaintext: string | Uint8Array, options: SealOptions = {}): Promise<Buffer> {
    assertArguments({ target, plaintext, options }, rules.seal);
    return await this.#seal(target, options, (key) => key.encryptBytes(plaintext, options.context));
  }

  /** Seals a value together with its type, as text. @throws KeysteadError as {@link encrypt} */
  async encryptValue(target: KeyTarget, value: FieldValue, options: SealOptions = {}): Promise<string> {
    assertArguments({ target, options }, rules.sealValue);
    // What can't be sealed is refused before a key is opened for it.
    encodeTypedValue(value);
    return await this.#seal(target, options, (key) => key.encryptValue(value, options.context));
  }

  /** Opens ciphertext of {@link encrypt} or {@link encryptBytes}. @throws KeysteadError as {@link KeyHandle.decrypt} */
  async decrypt(sealed: string | Uint8Array, options: CipherOptions = {}): Promise<Buffer> {
    assertArguments({ sealed, options }, rules.open);
    const parsed = parseSealed(sealed);
    return await this.#open(parsed, options, (key) => key.openBytes("value", parsed, options.context));
  }

  /** As {@link decrypt}, for text. @throws KeysteadError as {@link KeyHandle.decryptText} */
  async decryptText(sealed: string | Uint8Array, options: CipherOptions = {}): Promise<string> {
    assertArguments({ sealed, options }, rules.open);
    return await this.#open(parseSealed(sealed), options, (key) => key.decryptText(sealed, options.context));
  }

  /** Opens ciphertext of {@link encryptValue}, with its type. @throws KeysteadError as {@link decrypt} */
  async decryptValue(sealed: string | Uint8Array, options: CipherOptions = {}): Promise<FieldValue> {
    assertArguments({ sealed, options }, rules.open);
    return await this.#open(parseSealed(sealed), options, (key) => key.decryptValue(sealed, options.context));
  }

  /**
   * Seals many values, each under the key that it names; the calls are asked for and fail item by item, and leave one record for each key.
   * @returns for each item in order its ciphertext, or the problem with it
   * @throws KeysteadError `INVALID_ARGUMENT`, `TOO_LARGE` for more than 1,000 items, `AUDIT_UNAVAILABLE`
   * @example
   * const [first] = await keystead.encryptMany([{ target: "pii-email", plaintext: "anna@example.org" }]);
   */
  async encryptMany(items: readonly EncryptItem[]): Promise<(string | ItemProblem)[]> {
    assertArguments({ items }, rules.sealMany);
    const batch = items.map(({ target, context, dataset, plaintext, value }): BatchItem<string> => {
      if ((plaintext === undefined) === (value === undefined)) return { problem: eitherPlaintextOrValue() };
      const seal = (key: KeyHandle): string =>
        plaintext === undefined ? key.encryptValue(value ?? "", context) : key.encrypt(plaintext, context);
      return { target, context, dataset, work: (key) => this.#pool.now({ key, dataset }, seal) };
    });
    return this.#acts.performEach("data.encrypt", batch, (sealed) => sealed, { versionOf: labelOf });
  }

  /**
   * Opens many ciphertexts, as {@link encryptMany} seals: those of {@link encrypt}, and with `typed` those of {@link encryptValue}.
   * @returns for each item in order its plaintext or value, or the problem with it
   * @throws KeysteadError as {@link encryptMany}
   */
  async decryptMany(items: readonly DecryptItem[]): Promise<(OpenedItem | ItemProblem)[]> {
    assertArguments({ items }, rules.openMany);
    const batch = items.map(({ ciphertext, context, typed = false, text: isText = false }): BatchItem<OpenedItem> => {
      const parsed = tryParseSealed(ciphertext);
      if (parsed instanceof KeysteadError) return { ciphertext, problem: parsed };
      const open = (key: KeyHandle): OpenedItem =>
        typed ? { value: key.decryptValue(ciphertext, context) } : { plaintext: openPlain(key, parsed, context, isText) };
      return { target: parsed.key, version: parsed.label, context, ciphertext, work: (key) => this.#pool.now({ key }, open) };
    });
    return this.#acts.performEach("data.decrypt", batch, () => undefined);
  }

  /**
   * Moves a ciphertext of {@link encrypt} or {@link encryptValue} to the current version of its key, or to another key: that asks for
   * `data.decrypt` of the one and `data.encrypt` of the other, too. The context stays. It is
   * re-encryption outside datasets: like a job it also opens what a suspended or compromised version sealed, or one that waits for
   * destruction, for whoever has `data.rewrap-stopped`, too.
   * @returns ciphertext of the kind and in the form that it had
   * @throws KeysteadError as {@link decrypt} and {@link encrypt}
   */
  async rewrap<T extends string | Uint8Array>(sealed: T, options?: RewrapOptions): Promise<T extends string ? string : Buffer>;
  async rewrap(sealed: string | Uint8Array, options: RewrapOptions = {}): Promise<string | Buffer> {
    assertArguments({ sealed, options }, rules.rewrap);
    const parsed = parseSealed(sealed);
    const form = typeof sealed === "string" ? "text" : "binary";
    const way: Way = {};
    return this.#acts.perform({ ...rewrapAct(parsed, options), way }, async (key) => {
      const to = await this.#destination(key, options, way);
      return { result: await this.#rewrap(key, to, parsed, form, options, way) };
    });
  }

  /**
   * Moves many ciphertexts to the current version of their keys, as {@link encryptMany} seals.
   * @returns for each item in order its new ciphertext, or the problem with it
   * @throws KeysteadError as {@link encryptMany}
   */
  async rewrapMany(items: readonly RewrapItem[]): Promise<(string | ItemProblem)[]> {
    assertArguments({ items }, rules.rewrapMany);
    const batch = items.map(({ ciphertext, ...options }): BatchItem<string> => {
      const parsed = tryParseSealed(ciphertext);
      if (parsed instanceof KeysteadError) return { ciphertext, problem: parsed };
      const way: Way = {};
      const work = async (key: NamedKey): Promise<string> =>
        String(await this.#rewrap(key, await this.#destination(key, options, way), parsed, "text", options, way));
      return { ...rewrapAct(parsed, options), ciphertext, way, work };
    });
    return this.#acts.performEach("data.rewrap", batch, () => undefined);
  }

  /**
   * Seals a stream of any length in constant memory: a fresh file key, sealed by the key, then 64 KiB chunks.
   * @throws KeysteadError as {@link encrypt}
   */
  async *encryptStream(target: KeyTarget, source: AsyncIterable<Uint8Array>, options: SealOptions = {}): AsyncGenerator<Buffer> {
    assertArguments({ target, source, options }, rules.sealStream);
    const fileKey = this.#engine.random.bytes(fileKeyBytes);
    try {
      yield await this.#acts.perform({ action: "data.encrypt", target, ...options }, async (key) => {
        const { label, head } = await this.#sealFileKey(key, fileKey, options);
        return { result: head, label };
      });
      yield* sealChunks(fileKey, source);
    } finally {
      fileKey.fill(0);
    }
  }

  /**
   * Opens a stream of {@link encryptStream}. What was yielded before an error is authentic, but the stream is cut.
   * @throws KeysteadError `MALFORMED_CIPHERTEXT`, `DECRYPTION_FAILED` for anything altered, swapped, cut or added, and as
   *   {@link KeyHandle.decrypt}
   */
  async *decryptStream(source: AsyncIterable<Uint8Array>, options: CipherOptions = {}): AsyncGenerator<Buffer> {
    assertArguments({ source, options }, rules.openStream);
    const { context } = options;
    const { header, sealedFileKey, rest } = await readStreamHeader(source);
    const sealed = { ...header, payload: sealedFileKey };
    const fileKey = await this.#open(header, options, (key) => key.openFileKey(sealed, context));
    try {
      yield* openChunks(fileKey, rest);
    } finally {
      fileKey.fill(0);
    }
  }

  /**
   * Moves a stream to the current version of its key, or to another key: only its head changes, its chunks and the file key that
   * they are sealed with stay. It opens what {@link rewrap} opens. After a leak of a key decrypt and encrypt anew instead: whoever had
   * the version's key and the old head has the file key.
   * @throws KeysteadError as {@link decryptStream} and {@link encrypt}
   */
  async *rewrapStream(source: AsyncIterable<Uint8Array>, options: RewrapOptions = {}): AsyncGenerator<Uint8Array> {
    assertArguments({ source, options }, rules.rewrapStream);
    const { header, sealedFileKey, rest } = await readStreamHeader(source);
    const sealed = { ...header, payload: sealedFileKey };
    const way: Way = {};
    yield await this.#acts.perform({ ...rewrapAct(header, options), way }, async (key) => {
      const to = await this.#destination(key, options, way);
      const { plaintext: fileKey } = await this.#openToMove(key, header, options, (handle) => ({
        plaintext: handle.openFileKey(sealed, options.context),
      }));
      try {
        const { label, head } = await this.#sealFileKey(to, fileKey, options);
        way.version = label;
        return { result: head };
      } finally {
        fileKey.fill(0);
      }
    });
    yield* rest;
  }

  #seal<T extends string | Buffer>(target: KeyTarget, { context, dataset }: SealOptions, seal: (key: KeyHandle) => T): Promise<T> {
    return this.#acts.perform({ action: "data.encrypt", target, context, dataset }, (key) => {
      const sealed = this.#pool.now({ key, dataset }, (handle) => ({ result: seal(handle), label: handle.current.label }));
      return sealed;
    });
  }

  #open<T>({ key: target, label: version }: CiphertextHeader, { context }: CipherOptions, open: (key: KeyHandle) => T): Promise<T> {
    return this.#acts.perform({ action: "data.decrypt", target, version, context }, (key) =>
      this.#pool.now({ key }, (handle) => ({ result: open(handle) })),
    );
  }

  async #rewrap(
    key: NamedKey,
    to: NamedKey,
    parsed: ParsedCiphertext,
    form: "text" | "binary",
    options: RewrapOptions,
    way: Way,
  ): Promise<string | Buffer> {
    const { context, dataset } = options;
    const { kind, plaintext } = await this.#openToMove(key, parsed, options, (handle) => openEitherKind(handle, parsed, context));
    try {
      const sealed = await this.#pool.use({ key: to, dataset }, (handle) => handle.sealBytes(kind, form, plaintext, context));
      way.version = parseSealed(sealed).label;
      return sealed;
    } finally {
      plaintext.fill(0);
    }
  }

  /**
   * Opens what is to be moved. What a stopped version sealed takes a right of its own: who may decrypt and rewrap would else read it all the
   * same.
   * @throws KeysteadError `ACCESS_DENIED`, and what the work throws
   */
  async #openToMove<T>(
    key: NamedKey,
    { label }: CiphertextHeader,
    { context }: CipherOptions,
    open: (key: KeyHandle) => { readonly plaintext: Buffer } & T,
  ): Promise<{ readonly plaintext: Buffer } & T> {
    const { access, caller, registry } = this.#engine;
    const opened = await this.#pool.use({ key, opening: "reencrypt" }, open);
    try {
      // Looked at now: before it was opened the version may not have been known here.
      const version = (await registry.get(key.id)).byLabel(label);
      if (version !== undefined && permits(version.phase, "open")) return opened;
      const resource = { key: key.name, purpose: key.purpose, ...(context !== undefined && { context }) };
      await access.authorize(caller, "data.rewrap-stopped", resource);
      return opened;
    } catch (error) {
      opened.plaintext.fill(0);
      throw error;
    }
  }

  /**
   * The key that a rewrapping seals under. To move to another one is to decrypt with this one and to encrypt with that one: whoever may open
   * what the other key seals would else read what this one does. Whoever may not encrypt with that one does not learn whether it is there.
   * @param way is told where it leads
   * @throws KeysteadError `ACCESS_DENIED`, `UNKNOWN_KEY`, `UNKNOWN_PURPOSE`
   */
  async #destination(key: NamedKey, { key: target, context, dataset }: RewrapOptions, way: Way): Promise<NamedKey> {
    if (target === undefined) return key;
    const { access, caller, names } = this.#engine;
    const given = { ...(dataset !== undefined && { dataset }), ...(context !== undefined && { context }) };
    let to: NamedKey;
    try {
      to = await names.find(target);
    } catch (error) {
      await access.authorize(caller, "data.encrypt", { ...namedBy(target), ...given });
      throw error;
    }
    if (to.id !== key.id) way.to = to.name;
    // Asked first, as it is of a key that is not there: what is refused does not tell the one from the other.
    await access.authorize(caller, "data.encrypt", { key: to.name, purpose: to.purpose, ...given });
    if (to.id !== key.id)
      await access.authorize(caller, "data.decrypt", { key: key.name, purpose: key.purpose, ...(context !== undefined && { context }) });
    return to;
  }

  async #sealFileKey(
    key: NamedKey,
    fileKey: Uint8Array,
    { context, dataset }: SealOptions,
  ): Promise<{ readonly label: string; readonly head: Buffer }> {
    const { label, payload } = await this.#pool.use({ key, dataset }, (handle) => handle.sealFileKey(fileKey, context));
    return { label, head: formatStreamHeader(streamPrefix(key.name, label), payload) };
  }
}

/** Asks for the key of a ciphertext. */
function rewrapAct(
  { key: target, label: version }: CiphertextHeader,
  { context, dataset }: RewrapOptions,
): DataAct & { readonly target: string } {
  return { action: "data.rewrap", target, version, context, dataset };
}

/** @throws KeysteadError `DECRYPTION_FAILED` also for what is to be text and is not */
function openPlain(key: KeyHandle, parsed: ParsedCiphertext, context: Context | undefined, isText: boolean): Buffer {
  const plaintext = key.openBytes("value", parsed, context);
  if (!isText || decodeUtf8(plaintext) !== undefined) return plaintext;
  plaintext.fill(0);
  throw new KeysteadError("DECRYPTION_FAILED", "the plaintext is not UTF-8 text; ask for bytes");
}

function eitherPlaintextOrValue(): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", "an item has either a plaintext or a value; give one of them");
}
