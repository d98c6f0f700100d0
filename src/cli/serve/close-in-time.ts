import { endsInTime } from "../../clock.ts";
import type { Clock, Keystead } from "../../index.ts";

/** How long closing may take. With the 30 s that requests have by default it stays below what deploy/ waits before it kills. */
const patience = 12_000;

/** What is said of those that did not end in time. */
const sayings = {
  journal: () =>
    "the disk of the audit journal did not take its records in time when the server ended; what they tell of was refused, and those that it took are shipped at the next start",
  sinks: (sinks: string) =>
    `the audit sink ${sinks} did not take its records in time when the server ended; the store has them, or the journal has and they are shipped at the next start`,
  store: () =>
    "the store did not answer in time when the server ended; audit records it does not have are in the journal and are shipped at the next start",
} as const;

/**
 * Closes the engine, and ends the process when that takes too long, or when the journal or a sink hangs: a database or a disk that is gone without
 * a word would keep it for ever. Nothing is lost: what the store does not have yet is in the journal, and the next process ships it.
 */
export async function closeInTime(
  keystead: Pick<Keystead, "close"> & { readonly audit: Pick<Keystead["audit"], "problems"> },
  clock: Clock,
): Promise<void> {
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
 * @param hanging - the journal, and the sinks that hang; none: the store, as far as anybody knows
 */
export function endWithout(hanging: readonly string[], clock: Clock): never {
  const sinks = hanging.filter((where) => where !== "journal");
  const said = [
    ...(sinks.length < hanging.length ? [sayings.journal()] : []),
    ...(sinks.length > 0 ? [sayings.sinks(sinks.join(" and "))] : []),
  ];
  const msg = said.length > 0 ? said.join("; ") : sayings.store();
  process.stderr.write(`${JSON.stringify({ level: 50, time: clock.now(), pid: process.pid, msg })}\n`);
  // Exiting waits for threads, and one that waits for a disk never ends.
  if (hanging.length === 0 || hanging.some((where) => where !== "stdout")) process.kill(process.pid, "SIGKILL");
  process.exit(1);
}
