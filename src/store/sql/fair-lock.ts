/** A lock that is passed on in the order in which it was asked for. */
export class FairLock {
  #last: Promise<void> = Promise.resolve();
  #release: (() => void) | undefined;

  /** Resolves when the lock is held. Every call needs its {@link FairLock.release}. */
  async acquire(): Promise<void> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#last = promise;
    await before;
    this.#release = () => {
      resolve(undefined);
    };
  }

  /** Passes the lock on. No-op when it is not held. */
  release(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }

  /** Runs `work` while holding the lock. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.acquire();
    try {
      return await work();
    } finally {
      this.release();
    }
  }
}
