import { systemClock } from "../../src/clock.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import type { Kek, WrapContext } from "../../src/kek/kek.ts";
import { KekHandle } from "../../src/kek/kek-handle.ts";
import { parseKekUri } from "../../src/kek/kek-uri.ts";
import { LocalKekProvider } from "../../src/kek/local/local-kek-provider.ts";
import { unlockStore } from "../../src/keys/create-store.ts";
import { KekRing } from "../../src/keys/kek-ring.ts";
import { Keystead, type KeysteadOptions, type KeysteadParts } from "../../src/keystead.ts";
import { outsideData } from "../../src/keystead/outside-data.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { Store, StoreIdentity } from "../../src/store/store.ts";

/** Called before a KEK works; a rejection is its failure, a pause makes it slow. */
export type KekHook = (call: "wrap" | "unwrap", context: WrapContext) => Promise<void>;

/** What a test may put in between. */
export interface TestParts {
  readonly kekHook?: KekHook;
  readonly store?: (store: Store) => Store;
  /** URI of the KEK that says that hardware holds it. */
  readonly hardware?: string;
  /** Milliseconds to wait for other processes' locks on the store; the store's own default when absent. */
  readonly busyTimeout?: number;
}

/** Opens a store that exists, with a KEK and a store that a test can slow down or let fail. */
export async function openFromParts(options: KeysteadOptions, parts: TestParts): Promise<Keystead> {
  const { identity, ...opened } = await openParts(options, parts);
  return Keystead.start(options, opened, identity);
}

/** What stands behind a Keystead: its store, unlocked, and its KEKs. */
export async function openParts(options: KeysteadOptions, parts: TestParts = {}): Promise<KeysteadParts & { identity: StoreIdentity }> {
  const { clock = systemClock, random = systemRandom, masterKeys = {} } = options;
  const provider = new LocalKekProvider({ masterKeys, random, clock: systemClock });
  const keks = new KekRing(async (uri, known) => {
    const parsed = parseKekUri(uri);
    return new KekHandle(
      parsed,
      hooked(await provider.open(parsed, known), parts.kekHook, uri === parts.hardware),
      {},
      { clock: systemClock },
    );
  });
  const { busyTimeout } = parts;
  const opened = await openStore(options.store, { clock: systemClock, ...(busyTimeout !== undefined && { busyTimeout }) });
  const store = parts.store?.(opened) ?? opened;
  return { ...outsideData(options), store, keks, clock, random, identity: await unlockStore(store, keks) };
}

function hooked(kek: Kek, hook: KekHook = () => Promise.resolve(), hardwareBacked: boolean): Kek {
  const derivation = "derivation" in kek ? { derivation: kek.derivation } : {};
  return {
    kekId: kek.kekId,
    ...derivation,
    ...(hardwareBacked && { hardwareBacked }),
    wrapKey: async (key, options) => {
      await hook("wrap", options.context);
      return kek.wrapKey(key, options);
    },
    unwrapKey: async (wrapped, options) => {
      await hook("unwrap", options.context);
      return kek.unwrapKey(wrapped, options);
    },
    close: () => kek.close(),
  };
}

/** The generation of a store that nobody has open. */
export async function generationOf(options: KeysteadOptions): Promise<number> {
  const { store, keks } = await openParts(options);
  const generation = await store.generation();
  await keks.close();
  await store.close();
  return generation;
}
