import { keepHeapSmall } from "../../../src/cli/small-heap.ts";
import { openKeystead } from "../../../src/keystead.ts";
import { canaries } from "../../setup/canary.ts";

/**
 * Works on a job on `crm.person`, and prints `begun` after its first page and how it ended. Arguments: store URL, URL of database
 * `crm`, kind of job.
 */
keepHeapSmall();
const [store = "", crm = "", kind = ""] = process.argv.slice(2);
const masterKeys = { main: { bytes: canaries.masterKey.bytes } };
const keystead = await openKeystead({ store, masterKeys, databases: { crm } });
let begun = false;
const onProgress = (): void => {
  if (!begun) process.stdout.write("begun\n");
  begun = true;
};
const job = kind === "protect" || kind === "reencrypt" || kind === "index" ? kind : "verify";
const { state, progress, census } = await keystead.datasets[job]("crm.person", { onProgress });
process.stdout.write(`${state} ${String(progress.problems)} ${census === undefined ? "" : "census"}\n`);
await keystead.close();
