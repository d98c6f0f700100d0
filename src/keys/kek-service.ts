import { assertArguments, callback, text } from "../arguments.ts";
import { KeysteadError } from "../errors.ts";
import { parseKekUri } from "../kek/kek-uri.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import { asked, audited } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { recordableKekUri, withKek } from "./kek-records.ts";
import { instant } from "./key-records.ts";
import { sameWraps } from "./keyset-key.ts";

/** A KEK of this store. */
export interface KekInfo {
  readonly uri: string;
  /** The KEK version that this store knows. */
  readonly kekId: string;
  /** Keys whose keyset it wraps, the store key included. */
  readonly wraps: number;
  /** Whether this process can open it; otherwise why not. */
  readonly available: boolean;
  readonly problem?: string;
  readonly createdAt: string;
}

/** Whether a KEK answers. */
export interface KekTest {
  readonly available: boolean;
  /** Why not. */
  readonly problem?: string;
}

/** How far a re-wrapping is. */
export interface RewrapProgress {
  readonly done: number;
  readonly total: number;
}

/** How often one wrap is tried again because another process changed it meanwhile. */
const attempts = 50;

/** Key-encryption keys: what wraps what, and moving everything to another one. */
export class KekService {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Every KEK that this store knows, with what it wraps. */
  async list(): Promise<KekInfo[]> {
    return asked(this.#engine, { action: "keks.list", terms: {} }, () => this.#list());
  }

  async #list(): Promise<KekInfo[]> {
    const { keks, wraps } = await this.#engine.store.read(async (tables) => ({
      keks: await tables.keks.list(),
      wraps: await tables.wraps.list(),
    }));
    return Promise.all(
      keks.map(async ({ uri, kekId, createdAt }) => ({
        uri,
        kekId,
        wraps: wraps.filter((wrap) => wrap.kekUri === uri).length,
        ...(await this.#probe(uri)),
        createdAt: instant(createdAt),
      })),
    );
  }

  /**
   * Makes a configured KEK known to this store, before it wraps anything: which KEK it is and, for a passphrase, how it is derived.
   * One that is known is opened and checked. Routes and rotations do the same on their way.
   * @throws KeysteadError `INVALID_ARGUMENT`, `UNKNOWN_KEK`, `WRONG_MASTER_KEY`, `KEK_FAILED`
   * @example
   * await keystead.keks.add("local:medical");
   * await keystead.routes.set({ purpose: "medical" }, "local:medical");
   */
  async add(uri: string): Promise<void> {
    assertArguments({ uri }, { uri: text });
    await audited(this.#engine, { action: "keks.add", detail: { kek: recordableKekUri(uri) }, terms: {} }, () =>
      withKek(this.#engine, parseKekUri(uri).toString(), () => Promise.resolve()),
    );
  }

  /**
   * Tests whether this process can open a configured KEK. Reads only; nothing is made known to the store.
   * @throws KeysteadError `INVALID_ARGUMENT` for what is no KEK URI
   */
  async test(uri: string): Promise<KekTest> {
    assertArguments({ uri }, { uri: text });
    return asked(this.#engine, { action: "keks.test", detail: { kek: recordableKekUri(uri) }, terms: {} }, () =>
      this.#probe(parseKekUri(uri).toString()),
    );
  }

  /**
   * Re-wraps the store key and every keyset key from one KEK under another, and points the routes there. The new one must be
   * configured; the old one, too, unless a third one wraps the same keys. A call that was killed is simply made again: what is
   * left is found by a query. Data is not touched.
   *
   * This does not help after a KEK leaked: whoever has it may hold old wraps. Rotate the keys and re-encrypt then.
   * @param from - URI of the old KEK
   * @param to - URI of the new KEK
   * @param onProgress - called after each key
   * @throws KeysteadError `INVALID_ARGUMENT`, `UNKNOWN_KEK`, `WRONG_MASTER_KEY`, `KEK_FAILED`
   * @example
   * await keystead.keks.rotate("local:main", "local:2027");
   */
  async rotate(from: string, to: string, onProgress: (progress: RewrapProgress) => void = () => undefined): Promise<RewrapProgress> {
    assertArguments({ from, to, onProgress }, { from: text, to: text, onProgress: callback });
    const detail = { from: recordableKekUri(from), to: recordableKekUri(to) };
    return audited(
      this.#engine,
      { action: "keks.rotate", detail, terms: {} },
      async () => {
        const oldUri = parseKekUri(from).toString();
        const newUri = parseKekUri(to).toString();
        if (oldUri === newUri)
          throw new KeysteadError("INVALID_ARGUMENT", "the new KEK is the old one; name another (`local:NAME` with its own file)");
        await this.#routeTo(oldUri, newUri);
        return this.#rewrapAll(oldUri, newUri, onProgress);
      },
      ({ done }) => ({ detail: { ...detail, wraps: done } }),
    );
  }

  /** From then on new keys go to the new KEK. */
  async #routeTo(oldUri: string, newUri: string): Promise<void> {
    const { hardwareBacked } = await this.#engine.keks.handle(newUri);
    await withKek(this.#engine, newUri, async (tables) => {
      if ((await tables.keks.get({ uri: oldUri })) === undefined) {
        throw new KeysteadError("UNKNOWN_KEK", "this store has nothing under the old KEK; `keystead kek list` shows what it has");
      }
      if (!hardwareBacked) await assertNoHardware(tables, oldUri);
      for (const route of await tables.routes.list({ kekUri: oldUri })) await tables.routes.update({ ...route, kekUri: newUri });
    });
  }

  async #rewrapAll(oldUri: string, newUri: string, onProgress: (progress: RewrapProgress) => void): Promise<RewrapProgress> {
    let done = 0;
    for (;;) {
      const left = await this.#engine.store.read((tables) => tables.wraps.list({ kekUri: oldUri }));
      if (left.length === 0) return { done, total: done };
      const total = done + left.length;
      for (const { subject } of left) {
        await this.#rewrap(subject, oldUri, newUri);
        done += 1;
        onProgress({ done, total });
      }
    }
  }

  async #rewrap(subject: string, oldUri: string, newUri: string): Promise<void> {
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const wraps = await this.#engine.store.read((tables) => tables.wraps.list({ subject }));
      if (!wraps.some((wrap) => wrap.kekUri === oldUri) || (await this.#replaceWrap(wraps, subject, oldUri, newUri))) return;
    }
    throw new KeysteadError("CONFLICT", "other processes keep changing a key's wraps; run the command again when they are done");
  }

  /** False when the wraps changed meanwhile: then they may hold another key. */
  async #replaceWrap(wraps: readonly StoredRecord<"wraps">[], subject: string, oldUri: string, newUri: string): Promise<boolean> {
    const { keks, store, clock } = this.#engine;
    const key = await keks.unwrap(wraps.toSorted((a, b) => Number(b.kekUri === oldUri) - Number(a.kekUri === oldUri)));
    try {
      const wrap = await keks.wrap(subject, key, newUri);
      return await store.transaction(async (tables) => {
        const now = await tables.wraps.list({ subject });
        if (!sameWraps(wraps, now)) return false;
        for (const present of now) if (present.kekUri === oldUri || present.kekUri === newUri) await tables.wraps.remove(present);
        await tables.wraps.insert({ ...wrap, createdAt: clock.now() });
        return true;
      });
    } finally {
      key.fill(0);
    }
  }

  async #probe(uri: string): Promise<KekTest> {
    try {
      await this.#engine.keks.handle(uri);
      return { available: true };
    } catch (error) {
      return { available: false, problem: error instanceof KeysteadError ? error.message : "it could not be opened" };
    }
  }
}

/** @throws KeysteadError `INVALID_ARGUMENT` when the KEK wraps keys whose purpose wants hardware */
async function assertNoHardware(tables: StoreTables, kekUri: string): Promise<void> {
  const subjects = new Set((await tables.wraps.list({ kekUri })).map(({ subject }) => subject));
  for (const { name } of await tables.purposes.list({ hardware: 1 })) {
    if (!(await tables.keys.list({ purpose: name })).some(({ id }) => subjects.has(id))) continue;
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      `purpose ${name} wants a hardware-backed KEK and the new one is none; name one that is, or change the purpose`,
    );
  }
}
