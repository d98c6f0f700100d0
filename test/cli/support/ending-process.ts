import { openSync, write } from "node:fs";
import type { AuditProblem } from "../../../src/audit/audit-problem.ts";
import { closeInTime } from "../../../src/cli/serve/close-in-time.ts";
import { systemClock } from "../../../src/clock.ts";

/**
 * A program that ends while a thread of it writes to a named pipe that nobody reads, as to a disk that does not answer. Arguments: the pipe, and
 * what the engine says that hangs; without it the engine never closes and names no cause.
 */
const [pipe = "", where] = process.argv.slice(2);
write(openSync(pipe, "r+"), Buffer.alloc(1 << 20), () => undefined);
const problems: AuditProblem[] = where === undefined ? [] : [{ where, cause: new Error("it hangs"), hangs: true }];
const close = (): Promise<void> => (where === undefined ? new Promise<void>(() => undefined) : Promise.resolve());
// All patience is over at once.
await closeInTime({ close, audit: { problems } }, { ...systemClock, wait: () => Promise.resolve() });
