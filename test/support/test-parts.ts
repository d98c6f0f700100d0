import { onTestFinished } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import type { Kek, WrapContext } from "../../src/kek/kek.ts";
import { KekHandle } from "../../src/kek/kek-handle.ts";
import { parseKekUri } from "../../src/kek/kek-uri.ts";
import { LocalKekProvider } from "../../src/kek/local/local-kek-provider.ts";
import { unlockStore } from "../../src/keys/create-store.ts";
import { KekRing } from "../../src/keys/kek-ring.ts";
import { Keystead, type KeysteadOptions } from "../../src/keystead.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { Store } from "../../src/store/store.ts";

/** Called before a KEK works; a rejection is its failure, a pause makes it slow. */
export type KekHook = (call: "wrap" | "unwrap", context: WrapContext) => Promise<void>;

/** What a test may put in between. */
export interface TestParts {
  readonly kekHook?: KekHook;
  readonly store?: (store: Store) => Store;
}

/** Opens a store that exists, with a KEK and a store that a test can slow down or let fail. Closed after the test. */
export async function openWithParts(options: KeysteadOptions, parts: TestParts): Promise<Keystead> {
  const { clock = systemClock, random = systemRandom, masterKeys = {} } = options;
  const provider = new LocalKekProvider({ masterKeys, random, clock: systemClock });
  const keks = new KekRing(async (uri, known) => {
    const parsed = parseKekUri(uri);
    return new KekHandle(parsed, hooked(await provider.open(parsed, known), parts.kekHook), {}, { clock: systemClock });
  });
  const opened = await openStore(options.store, { clock: systemClock });
  const store = parts.store?.(opened) ?? opened;
  const keystead = await Keystead.start(options, { store, keks, clock, random }, await unlockStore(store, keks));
  onTestFinished(() => keystead.close().catch(() => undefined));
  return keystead;
}

function hooked(kek: Kek, hook: KekHook = () => Promise.resolve()): Kek {
  const derivation = "derivation" in kek ? { derivation: kek.derivation } : {};
  return {
    kekId: kek.kekId,
    ...derivation,
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

/** A store that does as another one, apart from what is replaced. */
export function alteredStore(store: Store, altered: Partial<Store>): Store {
  return {
    url: store.url,
    exists: () => store.exists(),
    create: (...call) => store.create(...call),
    header: () => store.header(),
    unlock: (key) => store.unlock(key),
    verify: () => store.verify(),
    generation: () => store.generation(),
    raiseGeneration: (floor) => store.raiseGeneration(floor),
    read: (work) => store.read(work),
    transaction: (work) => store.transaction(work),
    migrate: () => store.migrate(),
    scrub: () => store.scrub(),
    close: () => store.close(),
    ...altered,
  };
}

/** A pause in a program that a test ends: what is paused waits until it is let go. */
export class Gate {
  readonly #reached = Promise.withResolvers<undefined>();
  readonly #open = Promise.withResolvers<undefined>();

  /** Called where the program is to stop. */
  async pass(): Promise<void> {
    this.#reached.resolve(undefined);
    await this.#open.promise;
  }

  /** Resolves when something stopped here. */
  async reached(): Promise<void> {
    await this.#reached.promise;
  }

  open(): void {
    this.#open.resolve(undefined);
  }
}
