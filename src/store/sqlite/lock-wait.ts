import type { Clock } from "../../clock.ts";
import { isBusy } from "./sqlite-errors.ts";

/**
 * How long SQLite itself waits for a lock, in milliseconds. `node:sqlite` blocks the whole process meanwhile, also a
 * transaction of the same process that holds the lock; so most of the waiting is done here, between short attempts.
 */
export const synchronousWait = 10;

const firstPause = 1;
const longestPause = 10;

/** How long to wait for a lock of another connection. */
export interface LockWait {
  readonly clock: Clock;
  /** Milliseconds, in all. */
  readonly timeout: number;
}

/** Repeats `attempt` while another connection's lock stops it. Throws the last error once the time is up. */
export async function retryWhileBusy<T>(attempt: () => T, { clock, timeout }: LockWait): Promise<T> {
  const deadline = clock.monotonic() + timeout;
  for (let pause = firstPause; ; pause = Math.min(2 * pause, longestPause)) {
    try {
      return attempt();
    } catch (error) {
      if (!isBusy(error) || clock.monotonic() >= deadline) throw error;
    }
    await clock.wait(pause);
  }
}
