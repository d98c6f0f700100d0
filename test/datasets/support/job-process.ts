import { once } from "node:events";
import { flushCompileCache } from "node:module";
import { systemClock } from "../../../src/clock.ts";
import { openKeystead } from "../../../src/keystead.ts";
import { canaries } from "../../setup/canary.ts";

/**
 * Runs a job on `crm.person` once it is told to by a line on standard input, and prints `begun`, the rows read after each page, and
 * `done` with the rows replaced. Arguments: store URL, path of the database, kind of job, rows a page.
 */
const [store = "", path = "", kind = "", rows = "500"] = process.argv.slice(2);
// Otherwise only a process that ends by itself leaves what it compiled to the next ones.
flushCompileCache();
await once(process.stdin, "data");
process.stdin.destroy();
// The rate only makes pages small: with this clock nothing waits.
const clock = { ...systemClock, wait: () => Promise.resolve() };
const masterKeys = { main: { bytes: canaries.masterKey.bytes } };
const keystead = await openKeystead({ store, masterKeys, databases: { crm: `sqlite:${path}` }, clock });
process.stdout.write("begun\n");
const job = kind === "protect" || kind === "reencrypt" || kind === "unprotect" || kind === "index" ? kind : "verify";
const { state, progress } = await keystead.datasets[job]("crm.person", {
  rowsPerSecond: Number(rows),
  onProgress: ({ scanned }) => process.stdout.write(`${String(scanned)}\n`),
});
process.stdout.write(`${state} ${String(progress.replaced)} ${String(progress.problems)}\n`);
await keystead.close();
