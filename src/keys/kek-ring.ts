import type { KekHandle } from "../kek/kek-handle.ts";
import { KeysteadError } from "../errors.ts";
import type { NewRecord } from "../store/tables.ts";

/** Opens the KEK of a URI; the composition root knows the providers and their local configuration. */
export type KekOpener = (uri: string, options: { readonly derivation?: string }) => Promise<KekHandle>;

/** A wrap of one subject, as it is stored. */
export type WrapRow = Pick<NewRecord<"wraps">, "subject" | "kekUri" | "kekId" | "wrapped">;

/** The opened KEKs of one process, by URI. One KEK is opened once, whoever asks. */
export class KekRing {
  readonly #open: KekOpener;
  readonly #handles = new Map<string, Promise<KekHandle>>();
  readonly #derivations = new Map<string, string>();
  #storeId = "";

  constructor(open: KekOpener) {
    this.#open = open;
  }

  /** Binds the ring to a store: its id goes into every wrap. */
  bind(storeId: string, keks: readonly Pick<NewRecord<"keks">, "uri" | "derivation">[]): void {
    this.#storeId = storeId;
    for (const { uri, derivation } of keks) {
      if (derivation !== null) this.#derivations.set(uri, derivation);
    }
  }

  /** The handle of a KEK. @throws KeysteadError `UNKNOWN_KEK` when the local configuration doesn't name it. */
  handle(uri: string): Promise<KekHandle> {
    let handle = this.#handles.get(uri);
    if (handle === undefined) {
      const derivation = this.#derivations.get(uri);
      handle = this.#open(uri, derivation === undefined ? {} : { derivation });
      this.#handles.set(uri, handle);
      handle.catch(() => this.#handles.delete(uri));
    }
    return handle;
  }

  /** Wraps a 32-byte key for `subject` (a key id, or `store`) under the KEK of `uri`. */
  async wrap(subject: string, key: Uint8Array, uri: string): Promise<WrapRow> {
    const kek = await this.handle(uri);
    const { kekId, bytes } = await kek.wrapKey(key, { context: { storeId: this.#storeId, subject, kekUri: uri } });
    return { subject, kekUri: uri, kekId, wrapped: bytes };
  }

  /**
   * Opens one of several wraps of the same key: the first whose KEK answers.
   * @throws KeysteadError the only failure, or `KEK_FAILED` carrying all of them.
   */
  async unwrap(wraps: readonly WrapRow[]): Promise<Uint8Array> {
    const failures: unknown[] = [];
    for (const { subject, kekUri, kekId, wrapped } of wraps) {
      try {
        const kek = await this.handle(kekUri);
        return await kek.unwrapKey({ kekId, bytes: wrapped }, { context: { storeId: this.#storeId, subject, kekUri } });
      } catch (error) {
        failures.push(error);
      }
    }
    const [only] = failures;
    if (failures.length === 1 && only instanceof KeysteadError) throw only;
    const uris = wraps.map((wrap) => wrap.kekUri).join(", ");
    throw new KeysteadError("KEK_FAILED", `no KEK opens this key; tried: ${uris || "none, the key has no wrap"}`, {
      cause: new AggregateError(failures),
    });
  }

  /** Closes every handle. */
  async close(): Promise<void> {
    const handles = await Promise.allSettled(this.#handles.values());
    this.#handles.clear();
    await Promise.all(handles.flatMap((result) => (result.status === "fulfilled" ? [result.value.close()] : [])));
  }
}
