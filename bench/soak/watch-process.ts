import { appendFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

// Loaded into a served process by `node --import`: writes a line about itself every second to the file of KEYSTEAD_WATCH_FILE.
// With --expose-gc it collects old garbage now and then. By itself the server does so every few minutes, and what waits for that is no
// growth: samples from here and there in that saw-tooth could not be compared.

const file = process.env["KEYSTEAD_WATCH_FILE"] ?? "";
const nanosecondsPerMillisecond = 1e6;
const secondsBetweenCollections = 30;
// Threads load it, too; what is watched is the one that serves.
if (isMainThread) watch();

function watch(): void {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  let seconds = 0;
  setInterval(() => {
    if (++seconds % secondsBetweenCollections === 0) globalThis.gc?.();
    const { rss, heapUsed } = process.memoryUsage();
    const [p99, most] = [delays.percentile(99), delays.max].map((time) => time / nanosecondsPerMillisecond);
    delays.reset();
    appendFileSync(file, `${JSON.stringify({ rss, heapUsed, p99, most })}\n`);
  }, 1_000).unref();
}
