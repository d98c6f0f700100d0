import type { KekUri } from "./kek-uri.ts";

/** Where a wrapped key belongs. Every part is authenticated by the wrap. */
export interface WrapContext {
  readonly storeId: string;
  /** A key id, or `store` for the store key. */
  readonly subject: string;
  /** The KEK's URI as the store names it. */
  readonly kekUri: string;
}

/** A key wrapped by a KEK. */
export interface WrappedKey {
  /** The exact KEK version that wrapped: what still needs re-wrapping is a query on it. */
  readonly kekId: string;
  readonly bytes: Uint8Array;
}

/** What a call to a KEK may be bounded by. */
export interface KekCallOptions {
  readonly context: WrapContext;
  readonly signal?: AbortSignal;
}

/**
 * A key-encryption key. Implementations throw raw errors; {@link KekHandle} maps, times and retries them.
 * `unwrapKey` throws when the wrap does not open; it never returns other bytes.
 */
export interface Kek {
  /** The id of the KEK version that wraps now. */
  readonly kekId: string;
  wrapKey(key: Uint8Array, options: KekCallOptions): Promise<WrappedKey>;
  unwrapKey(wrapped: WrappedKey, options: KekCallOptions): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** What the local configuration and the store know about a KEK. Never from the environment. */
export interface KekOpenOptions {
  /** Parameters of a passphrase derivation, as stored; `undefined` on first use. */
  readonly derivation?: string;
  readonly signal?: AbortSignal;
}

/** Opens the KEKs of one URI scheme. */
export interface KekProvider {
  readonly scheme: string;
  open(uri: KekUri, options: KekOpenOptions): Promise<Kek>;
  /** Turns a raw error of this provider into a KeysteadError; `undefined` when it doesn't know it. */
  mapError?(error: unknown): Error | undefined;
}

/** Extra power of a KEK derived from a passphrase: the parameters to store beside its wraps. */
export interface DerivesFromPassphrase {
  /** Text of the derivation parameters; holds no secret. */
  readonly derivation: string;
}

/** True when the KEK has derivation parameters to store. */
export function derivesFromPassphrase(kek: Kek): kek is Kek & DerivesFromPassphrase {
  return "derivation" in kek && typeof kek.derivation === "string";
}

/** Extra power of a KEK whose key bytes never leave hardware. */
export interface HardwareBacked {
  readonly hardwareBacked: true;
}

/** True when the KEK says that hardware holds its key. */
export function isHardwareBacked(kek: Kek): kek is Kek & HardwareBacked {
  return "hardwareBacked" in kek && kek.hardwareBacked === true;
}
