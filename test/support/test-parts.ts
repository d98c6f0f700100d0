import { onTestFinished } from "vitest";
import type { Keystead, KeysteadOptions } from "../../src/keystead.ts";
import type { Store } from "../../src/store/store.ts";
import { openFromParts, type TestParts } from "./parts.ts";

/** {@link openFromParts}, closed after the test. */
export async function openWithParts(options: KeysteadOptions, parts: TestParts): Promise<Keystead> {
  const keystead = await openFromParts(options, parts);
  onTestFinished(() => keystead.close().catch(() => undefined));
  return keystead;
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
    revision: () => store.revision(),
    ...(store.replicated !== undefined && { replicated: async (patience: number) => await store.replicated?.(patience) }),
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
