import type { Clock, Keystead } from "../../index.ts";

/** What a store that does not answer is given at least: shorter waits would cut off a good one. */
const leastMilliseconds = 1_000;

/**
 * Closes the engine, and ends the process when that takes too long: a database that is gone without a word would keep it for ever. Nothing is
 * lost: what the store does not have yet is in the journal, and the next process ships it.
 * @param milliseconds - how long it may take
 */
export async function closeInTime(keystead: Keystead, clock: Clock, milliseconds: number): Promise<void> {
  const enough = new AbortController();
  const isLate = clock.wait(Math.max(milliseconds, leastMilliseconds), enough.signal).then(
    () => true,
    () => false,
  );
  const closing = keystead.close().then(() => false);
  try {
    if (!(await Promise.race([closing, isLate]))) return;
  } finally {
    enough.abort();
  }
  const msg =
    "the store did not answer in time when the server ended; audit records it does not have are in the journal and are shipped at the next start";
  process.stderr.write(`${JSON.stringify({ level: 50, time: clock.now(), pid: process.pid, msg })}\n`);
  process.exit(1);
}
