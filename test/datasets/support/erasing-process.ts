import { flushCompileCache } from "node:module";
import { once } from "node:events";
import { systemClock } from "../../../src/clock.ts";
import { openKeystead } from "../../../src/keystead.ts";
import { canaries } from "../../setup/canary.ts";

/**
 * Erases the plaintext of a column of `crm.person` once it is told to by a line on standard input; prints a line after each page, then
 * how it ended. Arguments: store URL, URL of database `crm`, column, rows a page.
 */
const [store = "", crm = "", column = "", rows = "500"] = process.argv.slice(2);
// Otherwise only a process that ends by itself leaves what it compiled to the next ones.
flushCompileCache();
await once(process.stdin, "data");
process.stdin.destroy();
// The rate only makes pages small: with this clock nothing waits.
const clock = { ...systemClock, wait: () => Promise.resolve() };
const masterKeys = { main: { bytes: canaries.masterKey.bytes } };
const keystead = await openKeystead({ store, masterKeys, databases: { crm }, clock });
const { state, progress } = await keystead.datasets.eraseColumn("crm.person", column, {
  rowsPerSecond: Number(rows),
  onProgress: ({ scanned }) => process.stdout.write(`${String(scanned)}\n`),
});
process.stdout.write(`${state} ${String(progress.problems)}\n`);
await keystead.close();
