import { KeysteadError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { addToCounter, type CounterKey } from "./counters.ts";

const smallestBlock = 1024;
const largestBlock = 2 ** 20;

/**
 * Counts the seals of one key version for one dataset (or outside datasets) in blocks leased from the store, so that the
 * stored count is never below what was sealed, even after a crash. Unused seals go back on {@link flush}.
 *
 * With a message limit (96-bit random nonces) nothing is sealed beyond the leased block. Without one, a loop that never
 * lets the event loop run is allowed to overdraw; the overdraft is written with the next block.
 */
export class SealMeter {
  readonly #store: Store;
  readonly #counter: CounterKey;
  readonly #limit: number | undefined;
  #left = 0;
  #overdrawn = 0;
  #used = 0;
  #block = smallestBlock;
  #pending: Promise<void> | undefined;
  #failure: unknown;

  constructor(store: Store, counter: CounterKey, limit: number | undefined) {
    this.#store = store;
    this.#counter = counter;
    this.#limit = limit;
  }

  /**
   * Makes sure that a block is leased.
   * @throws KeysteadError `KEY_BUDGET_EXHAUSTED` when the version's messages are used up.
   */
  async prepare(): Promise<void> {
    if (this.#left === 0) await this.#lease();
  }

  /**
   * Counts one seal, before it is made.
   * @throws KeysteadError `KEY_BUDGET_NOT_LEASED`, `KEY_BUDGET_EXHAUSTED`
   */
  take(): void {
    this.#used += 1;
    if (this.#left > 0) {
      this.#left -= 1;
      if (this.#left === this.#block >>> 1) this.#leaseInBackground();
      return;
    }
    this.#leaseInBackground();
    if (this.#limit === undefined) {
      this.#overdrawn += 1;
      return;
    }
    this.#used -= 1;
    if (this.#failure instanceof KeysteadError && this.#failure.code === "KEY_BUDGET_EXHAUSTED") throw this.#failure;
    throw new KeysteadError("KEY_BUDGET_NOT_LEASED", "no messages are leased for this key version yet; let the event loop run and retry", {
      cause: this.#failure,
    });
  }

  /** Seals since the last call. */
  takeUsed(): number {
    const used = this.#used;
    this.#used = 0;
    return used;
  }

  /** Gives unused seals back to the store and writes the overdraft. */
  async flush(): Promise<void> {
    await this.#pending?.catch(() => undefined);
    const change = this.#overdrawn - this.#left;
    if (change === 0) return;
    const left = this.#left;
    const overdrawn = this.#overdrawn;
    this.#left = 0;
    this.#overdrawn = 0;
    try {
      await this.#store.transaction((tables) => addToCounter(tables, this.#counter, { seals: change }));
    } catch (error) {
      this.#left += left;
      this.#overdrawn += overdrawn;
      throw error;
    }
  }

  #leaseInBackground(): void {
    this.#lease().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  #lease(): Promise<void> {
    this.#pending ??= this.#leaseBlock().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #leaseBlock(): Promise<void> {
    const overdrawn = this.#overdrawn;
    const granted = await this.#store.transaction(async (tables) => {
      const { keyId, version } = this.#counter;
      const rows = await tables.counters.list({ keyId, version });
      const used = rows.reduce((sum, row) => sum + row.seals, 0);
      const block = this.#limit === undefined ? this.#block : Math.min(this.#block, this.#limit - used);
      if (block <= 0) {
        throw new KeysteadError(
          "KEY_BUDGET_EXHAUSTED",
          "this key version has sealed as many messages as its algorithm allows; rotate the key (`keystead keys rotate`)",
        );
      }
      await addToCounter(tables, this.#counter, { seals: block + overdrawn });
      return block;
    });
    this.#failure = undefined;
    this.#overdrawn -= overdrawn;
    this.#left += granted;
    this.#block = Math.min(this.#block * 2, largestBlock);
  }
}
