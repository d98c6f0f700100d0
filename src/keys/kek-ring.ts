import { KeysteadError } from "../errors.ts";
import type { KekHandle } from "../kek/kek-handle.ts";
import type { NewRecord } from "../store/tables.ts";

/** Opens the KEK of a URI; the composition root knows the providers and their local configuration. */
export type KekOpener = (uri: string, options: { readonly derivation?: string }) => Promise<KekHandle>;

/** A wrap of one subject, as it is stored. */
export type WrapRow = Pick<NewRecord<"wraps">, "subject" | "kekUri" | "kekId" | "wrapped">;

/** What a store knows about a KEK. */
export interface KnownKek {
  readonly kekId: string;
  /** Parameters of a passphrase. */
  readonly derivation: string | null;
  /** Something that it wrapped; undefined when it wraps nothing. */
  readonly wrap: WrapRow | undefined;
}

/** Looks a KEK up in the store; undefined when the store doesn't know it. */
export type FindKek = (uri: string) => Promise<KnownKek | undefined>;

/** The opened KEKs of one process, by URI. One KEK is opened once, whoever asks. */
export class KekRing {
  readonly #open: KekOpener;
  readonly #handles = new Map<string, Promise<KekHandle>>();
  #storeId = "";
  #find: FindKek = () => Promise.resolve(undefined);

  constructor(open: KekOpener) {
    this.#open = open;
  }

  /** Binds the ring to a store: its id goes into every wrap, and what it knows about a KEK decides how that is opened. */
  bind(storeId: string, find: FindKek): void {
    this.#storeId = storeId;
    this.#find = find;
  }

  /**
   * The handle of a KEK.
   * @throws KeysteadError `UNKNOWN_KEK` when the local configuration doesn't name it, `WRONG_MASTER_KEY` when it isn't the KEK
   *   that the store knows under this URI, `KEK_FAILED`
   */
  handle(uri: string): Promise<KekHandle> {
    let handle = this.#handles.get(uri);
    if (handle === undefined) {
      handle = this.#openKnown(uri);
      this.#handles.set(uri, handle);
      handle.catch(() => this.#handles.delete(uri));
    }
    return handle;
  }

  /** Opens a KEK anew when it is asked for next: what the store knows about it has changed. */
  async forget(uri: string): Promise<void> {
    const handle = this.#handles.get(uri);
    this.#handles.delete(uri);
    await (await handle?.catch(() => undefined))?.close();
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
    for (const wrap of wraps) {
      try {
        return await this.#unwrapBy(await this.handle(wrap.kekUri), wrap);
      } catch (error) {
        failures.push(error);
      }
    }
    const [only] = failures;
    if (failures.length === 1 && only instanceof KeysteadError) throw only;
    const problems = failures.map((error) => (error instanceof KeysteadError ? error.message : "it failed"));
    const tried = wraps.map((wrap, index) => `${wrap.kekUri} (${problems[index] ?? ""})`).join(", ");
    throw new KeysteadError("KEK_FAILED", `no KEK opens this key; tried: ${tried || "none, the key has no wrap"}`, {
      cause: new AggregateError(failures),
    });
  }

  /** Closes every handle. */
  async close(): Promise<void> {
    const handles = await Promise.allSettled(this.#handles.values());
    this.#handles.clear();
    await Promise.all(handles.flatMap((result) => (result.status === "fulfilled" ? [result.value.close()] : [])));
  }

  /** What another KEK wraps under a known URI, nobody else could open: a wrap that is there is the canary. */
  async #openKnown(uri: string): Promise<KekHandle> {
    const known = await this.#find(uri);
    const handle = await this.#open(uri, typeof known?.derivation === "string" ? { derivation: known.derivation } : {});
    if (known === undefined || known.kekId === handle.kekId) return handle;
    try {
      if (known.wrap === undefined) throw wrongKek(uri);
      (await this.#unwrapBy(handle, known.wrap)).fill(0);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  #unwrapBy(kek: KekHandle, { subject, kekUri, kekId, wrapped }: WrapRow): Promise<Uint8Array> {
    return kek.unwrapKey({ kekId, bytes: wrapped }, { context: { storeId: this.#storeId, subject, kekUri } });
  }
}

function wrongKek(uri: string): KeysteadError {
  return new KeysteadError(
    "WRONG_MASTER_KEY",
    `the configured KEK is not the one that this store knows as ${uri}; configure that one, or give the new one another name`,
  );
}
