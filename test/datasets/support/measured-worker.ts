import { keepHeapSmall } from "../../../src/cli/small-heap.ts";
import { openKeystead } from "../../../src/keystead.ts";
import { canaries } from "../../setup/canary.ts";

/**
 * Does one piece of work on `crm.person` as the command line does, then prints how it ended and the most memory that this process had,
 * in MiB. Arguments: store URL, URL of database `crm`, `census` or a kind of job.
 */
keepHeapSmall();
const [store = "", crm = "", work = ""] = process.argv.slice(2);
const masterKeys = { main: { bytes: canaries.masterKey.bytes } };
const keystead = await openKeystead({ store, masterKeys, databases: { crm } });
const job = work === "protect" || work === "reencrypt" || work === "unprotect" ? work : "verify";
if (work === "census") await keystead.datasets.takeCensus("crm.person");
const end = work === "census" ? "done" : (await keystead.datasets[job]("crm.person")).state;
process.stdout.write(`${end} ${String(Math.ceil(process.resourceUsage().maxRSS / 1024))}\n`);
await keystead.close();
