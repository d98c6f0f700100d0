import { AsyncResource } from "node:async_hooks";
import { KeysteadError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { addToCounter, type CounterKey } from "./counters.ts";

/** Seals in the first block that a meter leases, and in the largest. */
export const sealBlocks = { first: 2 ** 16, largest: 2 ** 20 } as const;

/** A change of a stored count that is on its way into the store. */
export interface SealChange {
  readonly seals: number;
  /** Told whether it was written; what was not goes back into the meter. */
  readonly settle: (written: boolean) => void;
}

/**
 * Counts the seals of one key version for one dataset (or outside datasets) in blocks leased from the store, so that the
 * stored count is never below what was sealed, even after a crash. Nothing is sealed before the first block is leased.
 *
 * With a message limit (96-bit random nonces) nothing is sealed beyond the leased block. Without one, a loop that uses up a
 * block and never lets the event loop run may overdraw; the overdraft is written with the next block.
 */
export class SealMeter {
  readonly counter: CounterKey;
  readonly #store: Store;
  readonly #limit: number | undefined;
  /** A transaction of its own, also when the seal is made inside of somebody's. */
  readonly #leaseApart = AsyncResource.bind(() => this.#lease());
  #left = 0;
  #refillAt = 0;
  #leased = false;
  #overdrawn = 0;
  #used = 0;
  #block: number = sealBlocks.first;
  #pending: Promise<void> | undefined;
  #failure: unknown;

  /** @param limit messages that the version may ever seal; undefined: any number */
  constructor(store: Store, counter: CounterKey, limit: number | undefined) {
    this.counter = counter;
    this.#store = store;
    this.#limit = limit;
  }

  /** Seals that are leased and not used. */
  get unused(): number {
    return this.#left;
  }

  /** True when nothing of this meter has to reach store or audit any more. */
  get idle(): boolean {
    return !this.#leased && this.#used === 0 && this.#overdrawn === 0 && this.#pending === undefined;
  }

  /**
   * Makes sure that a block is leased.
   * @throws KeysteadError `KEY_BUDGET_EXHAUSTED` when the version's messages are used up, and what the store says
   */
  async prepare(): Promise<void> {
    if (this.#left === 0) await this.#lease();
  }

  /** As {@link prepare}, without waiting for it: a failure shows when something is to be counted. */
  prepareSoon(): void {
    if (this.#left === 0) this.#leaseInBackground();
  }

  /**
   * Counts one seal, before it is made.
   * @throws KeysteadError `KEY_BUDGET_NOT_LEASED`, `KEY_BUDGET_EXHAUSTED`
   */
  take(): void {
    if (this.#left > 0) {
      this.#left -= 1;
      this.#used += 1;
      if (this.#left <= this.#refillAt) this.#leaseInBackground();
      return;
    }
    this.#leaseInBackground();
    if (this.#limit !== undefined || !this.#leased) throw this.#notLeased();
    this.#overdrawn += 1;
    this.#used += 1;
  }

  /** Seals since the last call. */
  takeUsed(): number {
    const used = this.#used;
    this.#used = 0;
    return used;
  }

  /** Puts back what {@link takeUsed} gave. */
  restoreUsed(used: number): void {
    this.#used += used;
  }

  /**
   * What has to be written now: the overdraft and, when no more is sealed with this version, the unused rest of the lease.
   * Undefined when that is nothing.
   */
  async takeChange(release: boolean): Promise<SealChange | undefined> {
    while (this.#pending !== undefined) await this.#pending.catch(() => undefined);
    const overdrawn = this.#overdrawn;
    const returned = release ? this.#left : 0;
    this.#overdrawn = 0;
    if (release) {
      this.#left = 0;
      this.#leased = false;
    }
    if (overdrawn === returned) return undefined;
    return {
      seals: overdrawn - returned,
      // What was given back stays given back: a commit that failed may have happened, and a count may only be too high.
      settle: (written) => {
        if (!written) this.#overdrawn += overdrawn;
      },
    };
  }

  #notLeased(): KeysteadError {
    const cause = this.#failure;
    if (cause instanceof KeysteadError && cause.code === "KEY_BUDGET_EXHAUSTED") return cause;
    const why = cause instanceof KeysteadError ? `: ${cause.message}` : "; let the event loop run and retry";
    return new KeysteadError("KEY_BUDGET_NOT_LEASED", `no messages are leased for this key version yet${why}`, { cause });
  }

  #leaseInBackground(): void {
    if (this.#pending !== undefined) return;
    this.#leaseApart().catch(() => undefined);
  }

  #lease(): Promise<void> {
    this.#pending ??= this.#leaseBlock()
      .catch((error: unknown) => {
        this.#failure = error;
        // The next attempt waits until half of what is left is used: a full disk must not be asked for each seal.
        this.#refillAt = Math.floor(Math.min(this.#refillAt, this.#left) / 2);
        throw error;
      })
      .finally(() => {
        this.#pending = undefined;
      });
    return this.#pending;
  }

  async #leaseBlock(): Promise<void> {
    const overdrawn = this.#overdrawn;
    const granted = await this.#store.transaction(async (tables) => {
      const { keyId, version } = this.counter;
      const rows = await tables.counters.list({ keyId, version });
      const used = rows.reduce((sum, row) => sum + row.seals, 0);
      const block = this.#limit === undefined ? this.#block : Math.min(this.#block, this.#limit - used);
      if (block <= 0) {
        throw new KeysteadError(
          "KEY_BUDGET_EXHAUSTED",
          "this key version has sealed as many messages as its algorithm allows; rotate the key (`keystead keys rotate`)",
        );
      }
      await addToCounter(tables, this.counter, { seals: block + overdrawn });
      return block;
    });
    this.#failure = undefined;
    this.#leased = true;
    this.#overdrawn -= overdrawn;
    this.#left += granted;
    this.#refillAt = Math.floor(granted / 2);
    this.#block = Math.min(this.#block * 2, sealBlocks.largest);
  }
}
