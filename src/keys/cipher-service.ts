import { assertArguments, having, object, optional, recordOf, text, textOr, textOrBytes } from "../arguments.ts";
import type { ParsedCiphertext } from "../crypto/ciphertext.ts";
import type { Context } from "../crypto/context.ts";
import { formatStreamHeader, readStreamHeader } from "../crypto/stream-header.ts";
import { fileKeyBytes, openChunks, sealChunks, streamPrefix } from "../crypto/stream.ts";
import { decodeUtf8 } from "../crypto/text.ts";
import { encodeTypedValue, type FieldValue } from "../crypto/typed-value.ts";
import { type ErrorCode, isKeysteadError, KeysteadError } from "../errors.ts";
import { audited, auditedOnKey } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { KeyHandle, type KeyHandleOptions } from "./key-handle.ts";
import { findKey, isAlias } from "./key-records.ts";
import { parseSealed } from "./parse-sealed.ts";
import { readDefaultKey } from "./purpose-service.ts";

/** A key by name or alias, or the default key of a purpose. */
export type KeyTarget = string | { readonly purpose: string };

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

const target = textOr(object<Exclude<KeyTarget, string>>({ purpose: text }));
const context = optional(recordOf(text));
const dataset = optional(text);
const source = having("an async iterable of bytes (a Uint8Array each)", Symbol.asyncIterator);
const rules = {
  openKey: { target, options: object<{ readonly dataset?: string }>({ dataset }) },
  seal: { target, plaintext: textOrBytes, options: object<SealOptions>({ context, dataset }) },
  sealValue: { target, options: object<SealOptions>({ context, dataset }) },
  open: { sealed: textOrBytes, options: object<CipherOptions>({ context }) },
  rewrap: { sealed: textOrBytes, options: object<RewrapOptions>({ context, dataset, key: optional(target) }) },
  sealStream: { target, source, options: object<SealOptions>({ context, dataset }) },
  openStream: { source, options: object<CipherOptions>({ context }) },
  rewrapStream: { source, options: object<RewrapOptions>({ context, dataset, key: optional(target) }) },
} as const;

/** Handles that asynchronous calls keep open: how many, and for how many milliseconds since their last use. */
const openHandles = { count: 256, milliseconds: 600_000 } as const;

/** What tells that a call may succeed when it is made again, after what is done about it. */
const retries: Readonly<Partial<Record<ErrorCode, (key: KeyHandle) => Promise<void>>>> = {
  KEY_BUDGET_NOT_LEASED: (key) => key.prepare(),
  KEY_VERSION_NOT_LOADED: (key) => key.refresh(),
  KEY_LEASE_EXPIRED: (key) => key.refresh(),
};

/** What a call needs a key for: to seal for a dataset, and to open what it may. */
interface Need {
  readonly dataset?: string | undefined;
  readonly opening?: KeyHandleOptions["opening"];
}

/** A key, and what it is opened for. */
interface Place extends KeyHandleOptions {
  readonly keyId: string;
  readonly keyName: string;
  readonly dataset: string | undefined;
}

/** What access control and audit are told of an opening. */
const openingActs: Readonly<Record<KeyHandleOptions["opening"], string>> = { open: "keys.open", reencrypt: "keys.rewrap" };

interface OpenHandle {
  readonly key: KeyHandle;
  /** When it was last used, by the monotonic clock. */
  usedAt: number;
}

/**
 * Encryption by key name or purpose, asynchronous: a version that another process made a moment ago is loaded and the call
 * tried again, once. For hot paths {@link open} gives a synchronous handle.
 */
export class CipherService {
  readonly #engine: Engine;
  /** By place, the one that was used last at the end. */
  readonly #handles = new Map<string, OpenHandle>();
  readonly #opening = new Map<string, Promise<void>>();
  /** Ids of keys and datasets by name: names are never reused, aliases move and are looked up each time. */
  readonly #keyIds = new Map<string, string>();
  readonly #datasetIds = new Map<string, string>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Opens a key for synchronous use. The opening is audited, its use is counted.
   * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_PURPOSE`, `UNKNOWN_DATASET`, `KEK_FAILED`, `WRONG_MASTER_KEY`
   */
  async open(target: KeyTarget, options: { readonly dataset?: string } = {}): Promise<KeyHandle> {
    assertArguments({ target, options }, rules.openKey);
    const { dataset } = options;
    const name = await this.#keyName(target);
    return auditedOnKey(this.#engine, name, { action: openingActs.open, ...(dataset !== undefined && { dataset }) }, async (keyId) =>
      this.#openById(keyId, { datasetId: await this.#datasetId(dataset), opening: "open" }),
    );
  }

  /** Seals text or bytes under the current version, as text. @throws KeysteadError as {@link KeyHandle.encrypt} and {@link open} */
  async encrypt(target: KeyTarget, plaintext: string | Uint8Array, options: SealOptions = {}): Promise<string> {
    assertArguments({ target, plaintext, options }, rules.seal);
    return this.#with(target, { dataset: options.dataset }, (key) => key.encrypt(plaintext, options.context));
  }

  /** As {@link encrypt}, in the binary form. @throws KeysteadError as {@link encrypt} */
  async encryptBytes(target: KeyTarget, plaintext: string | Uint8Array, options: SealOptions = {}): Promise<Buffer> {
    assertArguments({ target, plaintext, options }, rules.seal);
    return this.#with(target, { dataset: options.dataset }, (key) => key.encryptBytes(plaintext, options.context));
  }

  /** Seals a value together with its type, as text. @throws KeysteadError as {@link encrypt} */
  async encryptValue(target: KeyTarget, value: FieldValue, options: SealOptions = {}): Promise<string> {
    assertArguments({ target, options }, rules.sealValue);
    // What can't be sealed is refused before a key is opened for it.
    encodeTypedValue(value);
    return this.#with(target, { dataset: options.dataset }, (key) => key.encryptValue(value, options.context));
  }

  /** Opens ciphertext of {@link encrypt} or {@link encryptBytes}. @throws KeysteadError as {@link KeyHandle.decrypt} */
  async decrypt(sealed: string | Uint8Array, options: CipherOptions = {}): Promise<Buffer> {
    assertArguments({ sealed, options }, rules.open);
    const parsed = parseSealed(sealed);
    return this.#with(parsed.key, {}, (key) => key.openBytes("value", parsed, options.context));
  }

  /** As {@link decrypt}, for text. @throws KeysteadError as {@link KeyHandle.decryptText} */
  async decryptText(sealed: string | Uint8Array, options: CipherOptions = {}): Promise<string> {
    const text = decodeUtf8(await this.decrypt(sealed, options));
    if (text === undefined) throw new KeysteadError("DECRYPTION_FAILED", "the plaintext is not UTF-8 text; open it with decrypt()");
    return text;
  }

  /** Opens ciphertext of {@link encryptValue}, with its type. @throws KeysteadError as {@link decrypt} */
  async decryptValue(sealed: string | Uint8Array, options: CipherOptions = {}): Promise<FieldValue> {
    assertArguments({ sealed, options }, rules.open);
    const { key: name } = parseSealed(sealed);
    return this.#with(name, {}, (key) => key.decryptValue(sealed, options.context));
  }

  /**
   * Moves a ciphertext of {@link encrypt} or {@link encryptValue} to the current version of its key, or to another key. The context stays. It is
   * re-encryption outside datasets: like a job it also opens what a suspended or compromised version sealed, or one that waits for
   * destruction.
   * @returns ciphertext of the kind and in the form that it had
   * @throws KeysteadError as {@link decrypt} and {@link encrypt}
   */
  async rewrap<T extends string | Uint8Array>(sealed: T, options?: RewrapOptions): Promise<T extends string ? string : Buffer>;
  async rewrap(sealed: string | Uint8Array, options: RewrapOptions = {}): Promise<string | Buffer> {
    assertArguments({ sealed, options }, rules.rewrap);
    const { context, key, dataset } = options;
    const parsed = parseSealed(sealed);
    const { kind, plaintext } = await this.#with(parsed.key, { opening: "reencrypt" }, (handle) => openEitherKind(handle, parsed, context));
    const form = typeof sealed === "string" ? "text" : "binary";
    try {
      return await this.#with(key ?? parsed.key, { dataset }, (handle) => handle.sealBytes(kind, form, plaintext, context));
    } finally {
      plaintext.fill(0);
    }
  }

  /**
   * Seals a stream of any length in constant memory: a fresh file key, sealed by the key, then 64 KiB chunks.
   * @throws KeysteadError as {@link encrypt}
   */
  async *encryptStream(target: KeyTarget, source: AsyncIterable<Uint8Array>, options: SealOptions = {}): AsyncGenerator<Buffer> {
    assertArguments({ target, source, options }, rules.sealStream);
    const { context, dataset } = options;
    const fileKey = this.#engine.random.bytes(fileKeyBytes);
    try {
      const head = await this.#with(target, { dataset }, (key) => ({ name: key.name, ...key.sealFileKey(fileKey, context) }));
      yield formatStreamHeader(streamPrefix(head.name, head.label), head.payload);
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
    const { fileKey, rest } = await this.#openFileKey(source, options.context, "open");
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
    const { context, key, dataset } = options;
    const { name, fileKey, rest } = await this.#openFileKey(source, context, "reencrypt");
    try {
      const head = await this.#with(key ?? name, { dataset }, (handle) => ({ name: handle.name, ...handle.sealFileKey(fileKey, context) }));
      yield formatStreamHeader(streamPrefix(head.name, head.label), head.payload);
    } finally {
      fileKey.fill(0);
    }
    yield* rest;
  }

  /** Closes handles that were not used for ten minutes. */
  async closeIdle(): Promise<void> {
    const since = this.#engine.clock.monotonic() - openHandles.milliseconds;
    await this.#closeWhere(({ usedAt }) => usedAt <= since);
  }

  /** Closes the handles that asynchronous calls used. */
  close(): Promise<void> {
    return this.#closeWhere(() => true);
  }

  async #closeWhere(isOver: (handle: OpenHandle) => boolean): Promise<void> {
    const over = [...this.#handles].filter(([, handle]) => isOver(handle));
    for (const [place] of over) this.#handles.delete(place);
    for (const [, { key }] of over) await key.close();
  }

  async #openFileKey(
    source: AsyncIterable<Uint8Array>,
    context: Context | undefined,
    opening: KeyHandleOptions["opening"],
  ): Promise<{ readonly name: string; readonly fileKey: Buffer; readonly rest: AsyncIterable<Uint8Array> }> {
    const { header, sealedFileKey, rest } = await readStreamHeader(source);
    const sealed = { ...header, payload: sealedFileKey };
    const fileKey = await this.#with(header.key, { opening }, (key) => key.openFileKey(sealed, context));
    return { name: header.key, fileKey, rest };
  }

  async #with<T>(target: KeyTarget, { dataset, opening = "open" }: Need, work: (key: KeyHandle) => T): Promise<T> {
    const named = await this.#locate(await this.#keyName(target));
    const place = { ...named, dataset, datasetId: await this.#datasetId(dataset), opening };
    const tried = new Set<string>();
    for (;;) {
      const key = this.#use(place);
      if (key === undefined) {
        await this.#openOnce(place);
        continue;
      }
      try {
        return work(key);
      } catch (error) {
        const retry = error instanceof KeysteadError && !tried.has(error.code) ? retries[error.code] : undefined;
        if (retry === undefined || !(error instanceof KeysteadError)) throw error;
        tried.add(error.code);
        await retry(key).catch(unlessClosed);
      }
    }
  }

  /** The open handle of a place, for use before anything else can close it. */
  #use(place: Place): KeyHandle | undefined {
    const name = nameOf(place);
    const handle = this.#handles.get(name);
    if (handle === undefined) return undefined;
    handle.usedAt = this.#engine.clock.monotonic();
    this.#handles.delete(name);
    this.#handles.set(name, handle);
    return handle.key;
  }

  #openOnce(place: Place): Promise<void> {
    const name = nameOf(place);
    let opening = this.#opening.get(name);
    if (opening === undefined) {
      opening = this.#openNow(place, name).finally(() => this.#opening.delete(name));
      this.#opening.set(name, opening);
    }
    return opening;
  }

  async #openNow(place: Place, name: string): Promise<void> {
    const { keyId, keyName, dataset, opening } = place;
    const act = { action: openingActs[opening], key: keyName, ...(dataset !== undefined && { dataset }) };
    const key = await audited(this.#engine, act, () => this.#openById(keyId, place));
    this.#handles.set(name, { key, usedAt: this.#engine.clock.monotonic() });
    const [oldest] = this.#handles;
    if (oldest === undefined || this.#handles.size <= openHandles.count) return;
    this.#handles.delete(oldest[0]);
    await oldest[1].key.close();
  }

  async #openById(keyId: string, { datasetId, opening }: KeyHandleOptions): Promise<KeyHandle> {
    const { registry } = this.#engine;
    const key = new KeyHandle(registry, await registry.get(keyId), { datasetId, opening });
    // A key that can't seal at the moment may still open: whoever seals is told why not.
    if (opening === "open") await key.prepare().catch(() => undefined);
    return key;
  }

  async #keyName(target: KeyTarget): Promise<string> {
    return typeof target === "string" ? target : readDefaultKey(this.#engine, target.purpose);
  }

  async #locate(nameOrAlias: string): Promise<{ readonly keyId: string; readonly keyName: string }> {
    const known = this.#keyIds.get(nameOrAlias);
    if (known !== undefined) return { keyId: known, keyName: nameOrAlias };
    const key = await this.#engine.store.read((tables) => findKey(tables, nameOrAlias));
    if (key.name === nameOrAlias) this.#keyIds.set(nameOrAlias, key.id);
    return { keyId: key.id, keyName: key.name };
  }

  async #datasetId(name: string | undefined): Promise<string> {
    if (name === undefined) return "";
    const known = this.#datasetIds.get(name);
    if (known !== undefined) return known;
    const [row] = isAlias(name) ? await this.#engine.store.read((tables) => tables.datasets.list({ name })) : [];
    if (row === undefined) throw new KeysteadError("UNKNOWN_DATASET", "no dataset has this name; `keystead datasets list` shows them");
    this.#datasetIds.set(name, row.id);
    return row.id;
  }
}

/** Opens what `encrypt` made, or `encryptValue`. The kind is authenticated: the one under which it opens is its own. */
function openEitherKind(
  key: KeyHandle,
  parsed: ParsedCiphertext,
  context: Context | undefined,
): { readonly kind: "value" | "typed"; readonly plaintext: Buffer } {
  try {
    return { kind: "value", plaintext: key.openBytes("value", parsed, context) };
  } catch (error) {
    if (!isKeysteadError(error, "DECRYPTION_FAILED")) throw error;
    return { kind: "typed", plaintext: key.openBytes("typed", parsed, context) };
  }
}

function nameOf({ keyId, datasetId, opening }: Place): string {
  return `${opening} ${keyId} ${datasetId}`;
}

/** A handle that made room for another one meanwhile is opened again. */
function unlessClosed(error: unknown): void {
  if (!isKeysteadError(error, "CLOSED")) throw error;
}
