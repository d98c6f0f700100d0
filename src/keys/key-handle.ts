import type { KeyObject } from "node:crypto";
import { types } from "node:util";
import { assertArguments, bytes, choice, listOf, number, object, type Shape, text, textOrBytes } from "../arguments.ts";
import type { KeyUsage } from "../crypto/algorithm.ts";
import { decodeBase64url, encodeBase64url } from "../crypto/base64url.ts";
import { createIndexer, type IndexSpec, indexSpecShape } from "../crypto/blind-index.ts";
import { type CiphertextHeader, formatText, type ParsedCiphertext, parseLabel } from "../crypto/ciphertext.ts";
import type { CiphertextKind, Context } from "../crypto/context.ts";
import { fileKeyBytes, streamDoesNotOpen } from "../crypto/stream-chunk.ts";
import { decodeUtf8, encodeUtf8 } from "../crypto/text.ts";
import { decodeTypedValue, encodeTypedValue, type FieldValue } from "../crypto/typed-value.ts";
import { KeysteadError } from "../errors.ts";
import type { KeysetRegistry } from "./keyset-registry.ts";
import type { Keyset, LoadedVersion, VersionCipher } from "./keyset.ts";
import { parseSealed } from "./parse-sealed.ts";
import type { SealMeter } from "./seal-meter.ts";

/** Unknown labels that a handle remembers, to tell "not loaded yet" from "another store's". */
const rememberedMisses = 100;

const kinds: Readonly<Record<CiphertextKind, true>> = { value: true, typed: true, "file-key": true, "data-key": true, secret: true };
const kind = choice(...Object.keys(kinds));
const parsedCiphertext: Shape<ParsedCiphertext> = { key: text, version: number, fingerprint: text, label: text, payload: bytes };
const rules = {
  sealBytes: { kind, form: choice("text", "binary"), bytes },
  openBytes: { kind, parsed: object(parsedCiphertext) },
  sealFileKey: { fileKey: bytes },
  indexer: { spec: object(indexSpecShape) },
  index: { values: listOf(text) },
  verifyMac: { data: textOrBytes, tag: text },
  sign: { data: bytes },
} as const;

/** What a handle is opened for. */
export interface KeyHandleOptions {
  /** Seals are counted as this dataset's, and tokens are left to its indexes; empty: both are counted outside datasets. */
  readonly datasetId: string;
  /** `reencrypt` may open, and make tokens of, suspended, compromised and to-be-destroyed versions: for what moves data away only. */
  readonly opening: "open" | "reencrypt";
}

/**
 * An opened key, for synchronous use on hot paths. It is a lease: when the store could not be asked for 60 s, every
 * method throws `KEY_LEASE_EXPIRED`. Close it to write its counts at once.
 *
 * @example
 * const key = await keystead.open("pii-email");
 * const sealed = key.encrypt("anna@example.org", { table: "person", column: "email" });
 * key.decryptText(sealed, { table: "person", column: "email" }); // "anna@example.org"
 */
export class KeyHandle {
  readonly #registry: KeysetRegistry;
  readonly #keyset: Keyset;
  readonly #options: KeyHandleOptions;
  readonly #misses = new Map<string, number>();
  #meter: SealMeter | undefined;
  #meterVersion = 0;
  #closed = false;

  constructor(registry: KeysetRegistry, keyset: Keyset, options: KeyHandleOptions) {
    this.#registry = registry;
    this.#keyset = registry.hold(keyset, options.datasetId);
    this.#options = options;
  }

  get id(): string {
    return this.#keyset.id;
  }

  get name(): string {
    return this.#keyset.name;
  }

  /** The version that protects new data. @throws KeysteadError as {@link encrypt} */
  get current(): { readonly version: number; readonly label: string } {
    const { version, label } = this.#keyset.current(this.#now());
    return { version, label };
  }

  /** Labels of every version that this store knows, destroyed ones included, oldest first. */
  get labels(): readonly string[] {
    return this.#keyset.versions.map((version) => version.label);
  }

  /**
   * Seals text or bytes under the current version, as text: `ks1:<key>:<label>:<payload>`.
   * @param context string pairs that must be given again to open
   * @throws KeysteadError `INVALID_ARGUMENT`, `KEY_STATE`, `KEY_USAGE`, `KEY_VERSION_EXPIRED`, `KEY_BUDGET_EXHAUSTED`,
   *   `KEY_BUDGET_NOT_LEASED`, `KEY_LEASE_EXPIRED`, `STORE_RESTORED`
   */
  encrypt(plaintext: string | Uint8Array, context?: Context): string {
    return this.#sealText("value", toBytes(plaintext), context);
  }

  /** As {@link encrypt}, in the binary form: `ks1b:…` and raw bytes. @throws KeysteadError as {@link encrypt} */
  encryptBytes(plaintext: string | Uint8Array, context?: Context): Buffer {
    return this.#sealBinary("value", toBytes(plaintext), context);
  }

  /**
   * Opens what {@link encrypt} or {@link encryptBytes} made.
   * @throws KeysteadError `MALFORMED_CIPHERTEXT`, `UNKNOWN_KEY`, `UNKNOWN_FINGERPRINT`, `KEY_VERSION_NOT_LOADED` (refresh and
   *   retry), `KEY_STATE`, `KEY_LEASE_EXPIRED`; `DECRYPTION_FAILED` for everything that does not open, without a reason
   */
  decrypt(sealed: string | Uint8Array, context?: Context): Buffer {
    return this.#open("value", sealed, context);
  }

  /**
   * As {@link decrypt}, for text.
   * @throws KeysteadError as {@link decrypt}; `DECRYPTION_FAILED` with a message of its own for what opens to bytes that are not UTF-8
   */
  decryptText(sealed: string | Uint8Array, context?: Context): string {
    const text = decodeUtf8(this.#open("value", sealed, context));
    if (text === undefined) throw new KeysteadError("DECRYPTION_FAILED", "the plaintext is not UTF-8 text; open it with decrypt()");
    return text;
  }

  /**
   * Seals a value together with its type, as text.
   * @throws KeysteadError as {@link encrypt}
   * @example
   * key.decryptValue(key.encryptValue(new Date(0))); // a Date again
   */
  encryptValue(value: FieldValue, context?: Context): string {
    return this.#sealText("typed", encodeTypedValue(value), context);
  }

  /** As {@link encryptValue}, in the binary form. @throws KeysteadError as {@link encrypt} */
  encryptValueBytes(value: FieldValue, context?: Context): Buffer {
    return this.#sealBinary("typed", encodeTypedValue(value), context);
  }

  /** Opens what {@link encryptValue} made, with its type. @throws KeysteadError as {@link decrypt} */
  decryptValue(sealed: string | Uint8Array, context?: Context): FieldValue {
    const value = decodeTypedValue(this.#open("typed", sealed, context));
    if (value === undefined) throw doesNotOpen();
    return value;
  }

  /** Seals bytes of a kind in a form: what jobs use to move values without decoding them. */
  sealBytes(kind: CiphertextKind, form: "text" | "binary", bytes: Uint8Array, context?: Context): string | Buffer {
    assertArguments({ kind, form, bytes }, rules.sealBytes);
    return form === "text" ? this.#sealText(kind, bytes, context) : this.#sealBinary(kind, bytes, context);
  }

  /** Opens a parsed ciphertext of a kind. @throws KeysteadError as {@link decrypt} */
  openBytes(kind: CiphertextKind, parsed: ParsedCiphertext, context?: Context): Buffer {
    assertArguments({ kind, parsed }, rules.openBytes);
    return this.#openPayload(kind, parsed, parsed.payload, context);
  }

  /** Seals a file key for a stream: the payload alone, with the label that sealed. @throws KeysteadError as {@link encrypt} */
  sealFileKey(fileKey: Uint8Array, context?: Context): { readonly label: string; readonly payload: Buffer } {
    assertArguments({ fileKey }, rules.sealFileKey);
    const { version, payload } = this.#seal("file-key", fileKey, context);
    return { label: version.label, payload };
  }

  /**
   * Opens what {@link sealFileKey} sealed: the 32 bytes of the file key, which the caller wipes.
   * @throws KeysteadError as {@link decrypt}; `DECRYPTION_FAILED` also for one of another length
   */
  openFileKey(parsed: ParsedCiphertext, context?: Context): Buffer {
    const fileKey = this.openBytes("file-key", parsed, context);
    if (fileKey.length === fileKeyBytes) return fileKey;
    fileKey.fill(0);
    throw streamDoesNotOpen();
  }

  /**
   * A function from normalised values to the blind-index token `<generation>.<base64url>`. Tokens of a dataset are those of its index;
   * others are counted as seals are. For the first ones of a version that is not current, {@link prepare} leases.
   * @throws KeysteadError `KEY_USAGE`, `KEY_STATE`, `UNKNOWN_KEY_VERSION`, `KEY_VERSION_NOT_LOADED`, `KEY_LEASE_EXPIRED`,
   *   `INVALID_ARGUMENT` for an index of another dataset; the function also `KEY_BUDGET_NOT_LEASED`
   */
  indexer(spec: IndexSpec): (values: readonly string[]) => string {
    assertArguments({ spec }, rules.indexer);
    this.#keyset.assertUsage("blind-index");
    const operation = this.#options.opening === "reencrypt" ? "reencrypt" : "index";
    const index = createIndexer(this.#using(spec.keyVersion, operation), spec);
    const count = this.#tokenCount(spec);
    return (values) => {
      assertArguments({ values }, rules.index);
      this.#using(spec.keyVersion, operation);
      const token = index(values);
      count();
      return token;
    };
  }

  /**
   * HMAC-SHA-256 of the data under the current version: `<label>.<base64url>`.
   * @throws KeysteadError `KEY_USAGE`, and as {@link encrypt}
   */
  mac(data: string | Uint8Array): string {
    this.#keyset.assertUsage("mac");
    const { algorithm } = this.#keyset;
    if (algorithm.kind !== "mac") throw wrongAlgorithm(this.name, "mac");
    const bytes = toBytes(data);
    const { version, key } = this.#counted();
    return `${version.label}.${encodeBase64url(algorithm.mac(key, bytes))}`;
  }

  /**
   * True when the tag was made by {@link mac} over the same data. A malformed tag is false, and so is another store's.
   * @throws KeysteadError `KEY_USAGE`, `KEY_STATE`, `KEY_VERSION_NOT_LOADED`, `KEY_LEASE_EXPIRED`
   */
  verifyMac(data: string | Uint8Array, tag: string): boolean {
    assertArguments({ data, tag }, rules.verifyMac);
    this.#keyset.assertUsage("mac");
    this.#now();
    const { algorithm } = this.#keyset;
    const bytes = toBytes(data);
    const [label = "", encoded = "", ...rest] = tag.split(".");
    const given = rest.length === 0 ? decodeBase64url(encoded) : undefined;
    const parsed = parseLabel(label);
    if (given === undefined || parsed === undefined || algorithm.kind !== "mac") return false;
    const version = this.#keyset.byLabel(label);
    if (version !== undefined) return algorithm.verifyMac(this.#using(version.version, "verify"), bytes, given);
    const missing = this.#missing({ version: parsed.version, label });
    if (missing.code === "KEY_VERSION_NOT_LOADED") throw missing;
    return false;
  }

  /** Signs with the current version. @throws KeysteadError `KEY_USAGE`, and as {@link encrypt} */
  sign(data: Uint8Array): { readonly label: string; readonly signature: Buffer } {
    assertArguments({ data }, rules.sign);
    this.#keyset.assertUsage("sign");
    const { algorithm } = this.#keyset;
    if (algorithm.kind !== "signature") throw wrongAlgorithm(this.name, "sign");
    const { version, key } = this.#counted();
    return { label: version.label, signature: algorithm.sign(key, data) };
  }

  /** Public key (SPKI DER) of the current version of a `sign` key. @throws KeysteadError `KEY_USAGE`, and as {@link encrypt} */
  publicKey(): Buffer {
    this.#keyset.assertUsage("sign");
    const der = this.#keyset.material(this.#keyset.current(this.#now())).material.publicKeyDer();
    if (der === undefined) throw wrongAlgorithm(this.name, "sign");
    return der;
  }

  /**
   * Leases a block of seals for the current version, so that the first seal has one; and of tokens for versions that make some
   * outside datasets. Opening a key does it.
   * @throws KeysteadError `KEY_BUDGET_EXHAUSTED`, `KEY_STATE`, `KEY_VERSION_EXPIRED`, `STORE_RESTORED`, what the store says
   */
  async prepare(): Promise<void> {
    this.#now();
    if (this.#keyset.usages.has("blind-index") && this.#options.datasetId === "") await this.#registry.prepareTokens(this.#keyset);
    await this.#meterFor(this.#keyset.current(this.#now())).prepare();
  }

  /** Learns of every change up to now. @throws what the store says */
  refresh(): Promise<void> {
    return this.#registry.refresh();
  }

  /** Writes counts and lets the key be unloaded. The handle refuses afterwards; closing again does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#registry.release(this.#keyset, this.#options.datasetId);
    await this.#registry.flush();
  }

  #now(): number {
    if (this.#closed) throw new KeysteadError("CLOSED", `the handle of key ${this.#keyset.name} is closed; open the key again`);
    return this.#registry.lease.check();
  }

  /** Everything that can fail comes before the count: what was not sealed must not keep a version from its end. */
  #seal(
    kind: CiphertextKind,
    plaintext: Uint8Array,
    context: Context | undefined,
  ): { readonly version: LoadedVersion; readonly cipher: VersionCipher; readonly payload: Buffer } {
    const version = this.#keyset.current(this.#now());
    const { cipher } = this.#keyset.material(version);
    if (cipher === undefined) {
      this.#keyset.assertUsage("encrypt");
      throw wrongAlgorithm(this.name, "encrypt");
    }
    const aad = cipher.aad(kind, context);
    this.#meterFor(version).take();
    return { version, cipher, payload: cipher.aead.seal(plaintext, aad) };
  }

  #sealText(kind: CiphertextKind, plaintext: Uint8Array, context: Context | undefined): string {
    const { cipher, payload } = this.#seal(kind, plaintext, context);
    return formatText(cipher.textPrefix, payload);
  }

  #sealBinary(kind: CiphertextKind, plaintext: Uint8Array, context: Context | undefined): Buffer {
    const { cipher, payload } = this.#seal(kind, plaintext, context);
    return Buffer.concat([cipher.binaryPrefix, payload]);
  }

  #open(kind: CiphertextKind, sealed: string | Uint8Array, context: Context | undefined): Buffer {
    const parsed = parseSealed(typeof sealed === "string" ? sealed : sealedBytes(sealed));
    return this.#openPayload(kind, parsed, parsed.payload, context);
  }

  #openPayload(kind: CiphertextKind, header: CiphertextHeader, payload: Uint8Array, context: Context | undefined): Buffer {
    const now = this.#now();
    const version = this.#find(header);
    this.#keyset.assertPermits(version, this.#options.opening, now);
    const { cipher } = this.#keyset.material(version);
    if (cipher === undefined) throw wrongAlgorithm(this.name, "encrypt");
    const plaintext = cipher.aead.open(payload, cipher.aad(kind, context));
    if (plaintext === undefined) throw kind === "file-key" ? streamDoesNotOpen() : doesNotOpen();
    version.usage.opens += 1;
    version.usage.lastOpenedAt = now;
    return plaintext;
  }

  #find(header: CiphertextHeader): LoadedVersion {
    if (header.key !== this.#keyset.name) {
      throw new KeysteadError("UNKNOWN_KEY", `this ciphertext names key ${header.key}, the handle is of key ${this.name}; open that key`);
    }
    const version = this.#keyset.byLabel(header.label);
    if (version !== undefined) return version;
    throw this.#missing(header);
  }

  #missing({ version, label }: Pick<CiphertextHeader, "version" | "label">): KeysteadError {
    const firstMiss = this.#misses.get(label);
    if (version <= this.#keyset.highestVersion || (firstMiss !== undefined && firstMiss < this.#registry.refreshes)) {
      return new KeysteadError(
        "UNKNOWN_FINGERPRINT",
        `this store has no version ${label} of key ${this.name}: the ciphertext is another store's, or newer than a store that was put back; ` +
          "bring back the store that made it (`keystead doctor` compares)",
      );
    }
    if (firstMiss === undefined) {
      const [oldest] = this.#misses.keys();
      if (oldest !== undefined && this.#misses.size >= rememberedMisses) this.#misses.delete(oldest);
      this.#misses.set(label, this.#registry.refreshes);
    }
    return this.#keyset.notLoaded(label);
  }

  /** The key of a version that need not be current. */
  #using(number: number, operation: "verify" | "index" | "reencrypt"): KeyObject {
    const now = this.#now();
    const version = this.#keyset.byNumber(number);
    if (version === undefined) {
      throw new KeysteadError(
        "UNKNOWN_KEY_VERSION",
        `key ${this.name} has no version ${String(number)}; see \`keystead keys show ${this.name}\``,
      );
    }
    this.#keyset.assertPermits(version, operation, now);
    return this.#keyset.material(version).material.key;
  }

  /** Counts a token that is made outside datasets; for those of a dataset its index generations speak. */
  #tokenCount({ datasetId, keyVersion }: IndexSpec): () => void {
    if (this.#options.datasetId !== "") {
      if (datasetId === this.#options.datasetId) return () => undefined;
      throw new KeysteadError(
        "INVALID_ARGUMENT",
        `this index is not of the dataset that key ${this.name} was opened for; open the key for the index's own dataset, or for none`,
      );
    }
    const meterNow = (): SealMeter | undefined => {
      const version = this.#keyset.byNumber(keyVersion);
      return version && this.#registry.tokenMeter(this.#keyset, version);
    };
    let meter = meterNow();
    return () => {
      if (meter?.idle === true) meter = meterNow();
      meter?.take();
    };
  }

  /** The current version's key, for one use that is counted. */
  #counted(): { readonly version: LoadedVersion; readonly key: KeyObject } {
    const version = this.#keyset.current(this.#now());
    const { key } = this.#keyset.material(version).material;
    this.#meterFor(version).take();
    return { version, key };
  }

  #meterFor(version: LoadedVersion): SealMeter {
    if (this.#meter === undefined || this.#meterVersion !== version.version || this.#meter.idle) {
      this.#meter = this.#registry.meter(this.#keyset, version, this.#options.datasetId);
      this.#meterVersion = version.version;
    }
    return this.#meter;
  }
}

function toBytes(data: unknown): Uint8Array {
  if (typeof data === "string") return encodeUtf8(data, "plaintext");
  if (types.isUint8Array(data)) return data;
  throw new KeysteadError("INVALID_ARGUMENT", "only text and bytes can be given; use encryptValue() for other values");
}

/** Binary ciphertext of any realm. Checked by hand: this is the hot path. */
function sealedBytes(sealed: unknown): Uint8Array {
  if (types.isUint8Array(sealed)) return sealed;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    "a ciphertext must be text or bytes (a Uint8Array); leave null as it is, a NULL column holds nothing to open",
  );
}

function doesNotOpen(): KeysteadError {
  return new KeysteadError("DECRYPTION_FAILED", "this ciphertext does not open with this key and context");
}

function wrongAlgorithm(name: string, usage: KeyUsage): KeysteadError {
  return new KeysteadError("KEY_USAGE", `key ${name} can't ${usage}: use or create a key with that usage`);
}
