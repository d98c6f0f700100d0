import { endsInTime } from "../../clock.ts";
import type { Clock, Keystead } from "../../index.ts";

/** How long closing may take. With the 30 s that requests have by default it stays below what deploy/ waits before it kills. */
const patience = 12_000;

/**
 * Closes the engine, and ends the process when that takes too long, or when a sink hangs: a database or a disk that is gone without a word would
 * keep it for ever. Nothing is lost: what the store does not have yet is in the journal, and the next process ships it.
 */
export async function closeInTime(keystead: Keystead, clock: Clock): Promise<void> {
  const [ending] = await Promise.allSettled([endsInTime(clock, patience, keystead.close())]);
  const hanging = keystead.audit.problems.filter(({ hangs }) => hangs === true).map(({ where }) => where);
  // What it was given and has not ended would keep the process also when all is closed.
  if (hanging.length === 0) {
    if (ending.status === "rejected") throw ending.reason;
    if (ending.value) return;
  }
  endWithout(hanging, clock);
}

/**
 * Ends the process now, and says what it would have had to wait for.
 * @param sinks - those that hang; none: the store
 */
export function endWithout(sinks: readonly string[], clock: Clock): never {
  const msg =
    sinks.length > 0
      ? `the audit sink ${sinks.join(" and ")} did not take its records in time when the server ended; the store has them, or the journal has and they are shipped at the next start`
      : "the store did not answer in time when the server ended; audit records it does not have are in the journal and are shipped at the next start";
  process.stderr.write(`${JSON.stringify({ level: 50, time: clock.now(), pid: process.pid, msg })}\n`);
  // Exiting waits for threads, and the one that waits for the disk of a file never ends.
  if (sinks.some((where) => where !== "stdout")) process.kill(process.pid, "SIGKILL");
  process.exit(1);
}
