import type { Clock, Keystead } from "../../index.ts";

/** How long closing may take. With the 30 s that requests have by default it stays below what deploy/ waits before it kills. */
const patience = 12_000;

/**
 * Closes the engine, and ends the process when that takes too long: a database that is gone without a word would keep it for ever. Nothing is
 * lost: what the store does not have yet is in the journal, and the next process ships it.
 */
export async function closeInTime(keystead: Keystead, clock: Clock): Promise<void> {
  const enough = new AbortController();
  const isLate = clock.wait(patience, enough.signal).then(
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
