import { createInterface } from "node:readline";
import { keepHeapSmall } from "../src/cli/small-heap.ts";
import { openKeystead } from "../src/index.ts";

/**
 * A worker in a process of its own. Arguments: store URL, URL of database `crm`, master key in hex by the environment
 * (KEYSTEAD_BENCH_KEY). Each line on standard input is `go JOB RATE` or `stop`; prints `ready`, and the state after each job.
 */
keepHeapSmall();
const [store = "", crm = ""] = process.argv.slice(2);
const bytes = Buffer.from(process.env["KEYSTEAD_BENCH_KEY"] ?? "", "hex");
const keystead = await openKeystead({ store, masterKeys: { main: { bytes } }, databases: { crm } });
let running: { readonly controller: AbortController; readonly end: Promise<void> } | undefined;
process.stdout.write("ready\n");
for await (const line of createInterface({ input: process.stdin })) {
  const [verb, job, rate] = line.split(" ");
  if (verb === "stop") {
    running?.controller.abort();
    await running?.end;
  } else running = start(job === "index" ? "index" : "reencrypt", rate);
}
await running?.end;
await keystead.close();

function start(
  job: "index" | "reencrypt",
  rate: string | undefined,
): { readonly controller: AbortController; readonly end: Promise<void> } {
  const controller = new AbortController();
  const options = { signal: controller.signal, ...(rate !== undefined && { rowsPerSecond: Number(rate) }) };
  const end = keystead.datasets[job]("crm.person", options).then(({ state }) => {
    process.stdout.write(`${state} ${String(Math.ceil(process.resourceUsage().maxRSS / 1024))}\n`);
  });
  return { controller, end };
}
