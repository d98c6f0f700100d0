import type { Context } from "../crypto/context.ts";
import { formatStreamHeader, readStreamHeader } from "../crypto/stream-header.ts";
import { fileKeyBytes, openChunks, sealChunks, streamPrefix } from "../crypto/stream.ts";
import { decodeUtf8 } from "../crypto/text.ts";
import type { FieldValue } from "../crypto/typed-value.ts";
import { type ErrorCode, isKeysteadError, KeysteadError } from "../errors.ts";
import { audited, auditedOnKey } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { KeyHandle } from "./key-handle.ts";
import { findKey, isAlias } from "./key-records.ts";
import { parseSealed } from "./parse-sealed.ts";
import type { PurposeService } from "./purpose-service.ts";

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

/** Handles that asynchronous calls keep open: how many, and for how many milliseconds since their last use. */
const openHandles = { count: 256, milliseconds: 600_000 } as const;

/** What tells that a call may succeed when it is made again, after what is done about it. */
const retries: Readonly<Partial<Record<ErrorCode, (key: KeyHandle) => Promise<void>>>> = {
  KEY_BUDGET_NOT_LEASED: (key) => key.prepare(),
  KEY_VERSION_NOT_LOADED: (key) => key.refresh(),
  KEY_LEASE_EXPIRED: (key) => key.refresh(),
};

/** A key, and the dataset that its seals are for. */
interface Place {
  readonly keyId: string;
  readonly keyName: string;
  readonly dataset: string | undefined;
  readonly datasetId: string;
}

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
  readonly #purposes: PurposeService;
  /** By key and dataset, the one that was used last at the end. */
  readonly #handles = new Map<string, OpenHandle>();
  readonly #opening = new Map<string, Promise<void>>();
  /** Ids of keys and datasets by name: names are never reused, aliases move and are looked up each time. */
  readonly #keyIds = new Map<string, string>();
  readonly #datasetIds = new Map<string, string>();

  constructor(engine: Engine, purposes: PurposeService) {
    this.#engine = engine;
    this.#purposes = purposes;
  }

  /**
   * Opens a key for synchronous use. The opening is audited, its use is counted.
   * @throws KeysteadError `UNKNOWN_KEY`, `UNKNOWN_PURPOSE`, `UNKNOWN_DATASET`, `KEK_FAILED`, `WRONG_MASTER_KEY`
   */
  async open(target: KeyTarget, { dataset }: { readonly dataset?: string } = {}): Promise<KeyHandle> {
    const name = await this.#keyName(target);
    return auditedOnKey(this.#engine, name, { action: "keys.open", ...(dataset !== undefined && { dataset }) }, async (keyId) =>
      this.#openById(keyId, await this.#datasetId(dataset)),
    );
  }

  /** Seals text or bytes under the current version, as text. @throws KeysteadError as {@link KeyHandle.encrypt} and {@link open} */
  encrypt(target: KeyTarget, plaintext: string | Uint8Array, { context, dataset }: SealOptions = {}): Promise<string> {
    return this.#with(target, dataset, (key) => key.encrypt(plaintext, context));
  }

  /** As {@link encrypt}, in the binary form. @throws KeysteadError as {@link encrypt} */
  encryptBytes(target: KeyTarget, plaintext: string | Uint8Array, { context, dataset }: SealOptions = {}): Promise<Buffer> {
    return this.#with(target, dataset, (key) => key.encryptBytes(plaintext, context));
  }

  /** Seals a value together with its type, as text. @throws KeysteadError as {@link encrypt} */
  encryptValue(target: KeyTarget, value: FieldValue, { context, dataset }: SealOptions = {}): Promise<string> {
    return this.#with(target, dataset, (key) => key.encryptValue(value, context));
  }

  /** Opens ciphertext of {@link encrypt} or {@link encryptBytes}. @throws KeysteadError as {@link KeyHandle.decrypt} */
  async decrypt(sealed: string | Uint8Array, { context }: CipherOptions = {}): Promise<Buffer> {
    const parsed = parseSealed(sealed);
    return this.#with(parsed.key, undefined, (key) => key.openBytes("value", parsed, context));
  }

  /** As {@link decrypt}, for text. @throws KeysteadError as {@link decrypt} */
  async decryptText(sealed: string | Uint8Array, options: CipherOptions = {}): Promise<string> {
    const text = decodeUtf8(await this.decrypt(sealed, options));
    if (text === undefined) throw new KeysteadError("DECRYPTION_FAILED", "the plaintext is not UTF-8 text; open it with decrypt()");
    return text;
  }

  /** Opens ciphertext of {@link encryptValue}, with its type. @throws KeysteadError as {@link decrypt} */
  async decryptValue(sealed: string | Uint8Array, { context }: CipherOptions = {}): Promise<FieldValue> {
    const { key: name } = parseSealed(sealed);
    return this.#with(name, undefined, (key) => key.decryptValue(sealed, context));
  }

  /**
   * Moves a ciphertext of {@link encrypt} to the current version of its key, or to another key. The context stays.
   * @returns ciphertext in the form that it had
   * @throws KeysteadError as {@link decrypt} and {@link encrypt}
   */
  async rewrap<T extends string | Uint8Array>(sealed: T, options?: RewrapOptions): Promise<T extends string ? string : Buffer>;
  async rewrap(sealed: string | Uint8Array, { context, key, dataset }: RewrapOptions = {}): Promise<string | Buffer> {
    const parsed = parseSealed(sealed);
    const plaintext = await this.#with(parsed.key, undefined, (handle) => handle.openBytes("value", parsed, context));
    const form = typeof sealed === "string" ? "text" : "binary";
    try {
      return await this.#with(key ?? parsed.key, dataset, (handle) => handle.sealBytes("value", form, plaintext, context));
    } finally {
      plaintext.fill(0);
    }
  }

  /**
   * Seals a stream of any length in constant memory: a fresh file key, sealed by the key, then 64 KiB chunks.
   * @throws KeysteadError as {@link encrypt}
   */
  async *encryptStream(
    target: KeyTarget,
    source: AsyncIterable<Uint8Array>,
    { context, dataset }: SealOptions = {},
  ): AsyncGenerator<Buffer> {
    const fileKey = this.#engine.random.bytes(fileKeyBytes);
    try {
      const head = await this.#with(target, dataset, (key) => ({ name: key.name, ...key.sealFileKey(fileKey, context) }));
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
  async *decryptStream(source: AsyncIterable<Uint8Array>, { context }: CipherOptions = {}): AsyncGenerator<Buffer> {
    const { fileKey, rest } = await this.#openFileKey(source, context);
    try {
      yield* openChunks(fileKey, rest);
    } finally {
      fileKey.fill(0);
    }
  }

  /**
   * Moves a stream to the current version of its key, or to another key: only its head changes, its chunks stay.
   * @throws KeysteadError as {@link decryptStream} and {@link encrypt}
   */
  async *rewrapStream(source: AsyncIterable<Uint8Array>, { context, key, dataset }: RewrapOptions = {}): AsyncGenerator<Uint8Array> {
    const { name, fileKey, rest } = await this.#openFileKey(source, context);
    try {
      const head = await this.#with(key ?? name, dataset, (handle) => ({ name: handle.name, ...handle.sealFileKey(fileKey, context) }));
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
  ): Promise<{ readonly name: string; readonly fileKey: Buffer; readonly rest: AsyncIterable<Uint8Array> }> {
    const { header, sealedFileKey, rest } = await readStreamHeader(source);
    const sealed = { ...header, payload: sealedFileKey };
    const fileKey = await this.#with(header.key, undefined, (key) => key.openBytes("file-key", sealed, context));
    return { name: header.key, fileKey, rest };
  }

  async #with<T>(target: KeyTarget, dataset: string | undefined, work: (key: KeyHandle) => T): Promise<T> {
    const named = await this.#locate(await this.#keyName(target));
    const place = { ...named, dataset, datasetId: await this.#datasetId(dataset) };
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
  #use({ keyId, datasetId }: Place): KeyHandle | undefined {
    const name = `${keyId} ${datasetId}`;
    const handle = this.#handles.get(name);
    if (handle === undefined) return undefined;
    handle.usedAt = this.#engine.clock.monotonic();
    this.#handles.delete(name);
    this.#handles.set(name, handle);
    return handle.key;
  }

  #openOnce(place: Place): Promise<void> {
    const name = `${place.keyId} ${place.datasetId}`;
    let opening = this.#opening.get(name);
    if (opening === undefined) {
      opening = this.#openNow(place, name).finally(() => this.#opening.delete(name));
      this.#opening.set(name, opening);
    }
    return opening;
  }

  async #openNow({ keyId, keyName, dataset, datasetId }: Place, name: string): Promise<void> {
    const act = { action: "keys.open", key: keyName, ...(dataset !== undefined && { dataset }) };
    const key = await audited(this.#engine, act, () => this.#openById(keyId, datasetId));
    this.#handles.set(name, { key, usedAt: this.#engine.clock.monotonic() });
    const [oldest] = this.#handles;
    if (oldest === undefined || this.#handles.size <= openHandles.count) return;
    this.#handles.delete(oldest[0]);
    await oldest[1].key.close();
  }

  async #openById(keyId: string, datasetId: string): Promise<KeyHandle> {
    const { registry } = this.#engine;
    const key = new KeyHandle(registry, await registry.get(keyId), { datasetId, opening: "open" });
    // A key that can't seal at the moment may still open: whoever seals is told why not.
    await key.prepare().catch(() => undefined);
    return key;
  }

  async #keyName(target: KeyTarget): Promise<string> {
    return typeof target === "string" ? target : this.#purposes.defaultKey(target.purpose);
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

/** A handle that made room for another one meanwhile is opened again. */
function unlessClosed(error: unknown): void {
  if (!isKeysteadError(error, "CLOSED")) throw error;
}
