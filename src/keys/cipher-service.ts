import { parseBinary, type ParsedCiphertext, parseText } from "../crypto/ciphertext.ts";
import type { Context } from "../crypto/context.ts";
import { formatStreamHeader, readStreamHeader } from "../crypto/stream-header.ts";
import { fileKeyBytes, openChunks, sealChunks, streamPrefix } from "../crypto/stream.ts";
import { decodeUtf8 } from "../crypto/text.ts";
import type { FieldValue } from "../crypto/typed-value.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import { audited } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { KeyHandle } from "./key-handle.ts";
import { findKey } from "./key-records.ts";
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

/** Handles that stay open for asynchronous calls. */
const openHandles = 256;

/**
 * Encryption by key name or purpose, asynchronous: a version that another process made a moment ago is loaded and the call
 * tried again, once. For hot paths {@link open} gives a synchronous handle.
 */
export class CipherService {
  readonly #engine: Engine;
  readonly #purposes: PurposeService;
  readonly #handles = new Map<string, KeyHandle>();
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
  async open(target: KeyTarget, options: { readonly dataset?: string } = {}): Promise<KeyHandle> {
    const name = await this.#keyName(target);
    return audited(this.#engine, { action: "keys.open", key: name, ...options }, async () => {
      const { keyId, datasetId } = await this.#locate(name, options.dataset);
      const keyset = await this.#engine.registry.get(keyId);
      const handle = new KeyHandle(this.#engine.registry, keyset, { datasetId, opening: "open" });
      try {
        await handle.prepare();
      } catch (error) {
        // A key that can't seal at the moment may still open.
        if (
          !isKeysteadError(error, "KEY_STATE") &&
          !isKeysteadError(error, "KEY_VERSION_EXPIRED") &&
          !isKeysteadError(error, "STORE_RESTORED")
        )
          throw error;
      }
      return handle;
    });
  }

  /** Seals text or bytes, as text. @throws KeysteadError as {@link KeyHandle.encrypt} and {@link open} */
  encrypt(target: KeyTarget, plaintext: string | Uint8Array, { context, dataset }: SealOptions = {}): Promise<string> {
    return this.#with(target, dataset, (key) => key.encrypt(plaintext, context));
  }

  /** As {@link encrypt}, in the binary form. */
  encryptBytes(target: KeyTarget, plaintext: string | Uint8Array, { context, dataset }: SealOptions = {}): Promise<Buffer> {
    return this.#with(target, dataset, (key) => key.encryptBytes(plaintext, context));
  }

  /** Seals a value together with its type, as text. */
  encryptValue(target: KeyTarget, value: FieldValue, { context, dataset }: SealOptions = {}): Promise<string> {
    return this.#with(target, dataset, (key) => key.encryptValue(value, context));
  }

  /** Opens ciphertext of {@link encrypt} or {@link encryptBytes}. @throws KeysteadError as {@link KeyHandle.decrypt} */
  async decrypt(sealed: string | Uint8Array, { context }: CipherOptions = {}): Promise<Buffer> {
    const parsed = parseEither(sealed);
    return this.#with(parsed.key, undefined, (key) => key.openBytes("value", parsed, context));
  }

  /** As {@link decrypt}, for text. */
  async decryptText(sealed: string | Uint8Array, options: CipherOptions = {}): Promise<string> {
    const text = decodeUtf8(await this.decrypt(sealed, options));
    if (text === undefined) throw new KeysteadError("DECRYPTION_FAILED", "the plaintext is not UTF-8 text; open it with decrypt()");
    return text;
  }

  /** Opens ciphertext of {@link encryptValue}, with its type. */
  async decryptValue(sealed: string | Uint8Array, { context }: CipherOptions = {}): Promise<FieldValue> {
    const { key: name } = parseEither(sealed);
    return this.#with(name, undefined, (key) => key.decryptValue(sealed, context));
  }

  /**
   * Moves a ciphertext of {@link encrypt} to the current version of its key, or to another key. The context stays.
   * @returns ciphertext in the form that it had
   */
  async rewrap<T extends string | Uint8Array>(sealed: T, options?: RewrapOptions): Promise<T extends string ? string : Buffer>;
  async rewrap(sealed: string | Uint8Array, { context, key, dataset }: RewrapOptions = {}): Promise<string | Buffer> {
    const parsed = parseEither(sealed);
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
    const { name, label, payload } = await this.#with(target, dataset, (key) => ({ name: key.name, ...key.sealFileKey(fileKey, context) }));
    yield formatStreamHeader(streamPrefix(name, label), payload);
    yield* sealChunks(fileKey, source);
  }

  /**
   * Opens a stream of {@link encryptStream}. What was yielded before an error is authentic, but the stream is cut.
   * @throws KeysteadError `MALFORMED_CIPHERTEXT`, `DECRYPTION_FAILED` for anything altered, swapped, cut or added
   */
  async *decryptStream(source: AsyncIterable<Uint8Array>, { context }: CipherOptions = {}): AsyncGenerator<Buffer> {
    const { header, sealedFileKey, rest } = await readStreamHeader(source);
    const fileKey = await this.#with(header.key, undefined, (key) =>
      key.openBytes("file-key", { ...header, payload: sealedFileKey }, context),
    );
    yield* openChunks(fileKey, rest);
  }

  /**
   * Moves a stream to the current version of its key, or to another key: only its head changes, its chunks stay.
   */
  async *rewrapStream(source: AsyncIterable<Uint8Array>, { context, key, dataset }: RewrapOptions = {}): AsyncGenerator<Uint8Array> {
    const { header, sealedFileKey, rest } = await readStreamHeader(source);
    const fileKey = await this.#with(header.key, undefined, (handle) =>
      handle.openBytes("file-key", { ...header, payload: sealedFileKey }, context),
    );
    const { name, label, payload } = await this.#with(key ?? header.key, dataset, (handle) => ({
      name: handle.name,
      ...handle.sealFileKey(fileKey, context),
    }));
    fileKey.fill(0);
    yield formatStreamHeader(streamPrefix(name, label), payload);
    yield* rest;
  }

  /** Closes the handles that asynchronous calls used. */
  async close(): Promise<void> {
    const handles = [...this.#handles.values()];
    this.#handles.clear();
    for (const handle of handles) await handle.close();
  }

  async #with<T>(target: KeyTarget, dataset: string | undefined, work: (key: KeyHandle) => T): Promise<T> {
    const key = await this.#handle(await this.#keyName(target), dataset);
    try {
      return work(key);
    } catch (error) {
      if (isKeysteadError(error, "KEY_BUDGET_NOT_LEASED")) await key.prepare();
      else if (isKeysteadError(error, "KEY_VERSION_NOT_LOADED") || isKeysteadError(error, "KEY_LEASE_EXPIRED")) await key.refresh();
      else throw error;
      return work(key);
    }
  }

  async #handle(name: string, dataset: string | undefined): Promise<KeyHandle> {
    const { keyId, datasetId } = await this.#locate(name, dataset);
    const place = `${keyId} ${datasetId}`;
    const open = this.#handles.get(place);
    if (open !== undefined) return open;
    const handle = await this.open(name, dataset === undefined ? {} : { dataset });
    const other = this.#handles.get(place);
    if (other !== undefined) {
      await handle.close();
      return other;
    }
    this.#handles.set(place, handle);
    const [oldest] = this.#handles;
    if (oldest !== undefined && this.#handles.size > openHandles) {
      this.#handles.delete(oldest[0]);
      await oldest[1].close();
    }
    return handle;
  }

  async #keyName(target: KeyTarget): Promise<string> {
    return typeof target === "string" ? target : this.#purposes.defaultKey(target.purpose);
  }

  async #locate(name: string, dataset: string | undefined): Promise<{ readonly keyId: string; readonly datasetId: string }> {
    const keyId = this.#keyIds.get(name) ?? (await this.#findKeyId(name));
    const datasetId = dataset === undefined ? "" : (this.#datasetIds.get(dataset) ?? (await this.#findDatasetId(dataset)));
    return { keyId, datasetId };
  }

  async #findKeyId(name: string): Promise<string> {
    const key = await this.#engine.store.read((tables) => findKey(tables, name));
    if (key.name === name) this.#keyIds.set(name, key.id);
    return key.id;
  }

  async #findDatasetId(name: string): Promise<string> {
    const [row] = await this.#engine.store.read((tables) => tables.datasets.list({ name }));
    if (row === undefined) throw new KeysteadError("UNKNOWN_DATASET", "no dataset has this name; `keystead datasets list` shows them");
    this.#datasetIds.set(name, row.id);
    return row.id;
  }
}

function parseEither(sealed: string | Uint8Array): ParsedCiphertext {
  const parsed = typeof sealed === "string" ? parseText(sealed) : parseBinary(sealed);
  if (parsed !== undefined) return parsed;
  throw new KeysteadError(
    "MALFORMED_CIPHERTEXT",
    "this is not Keystead ciphertext of format 1; check that it was stored whole and unchanged",
  );
}
