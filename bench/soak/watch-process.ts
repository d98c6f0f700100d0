import { appendFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

// Loaded into a served process by `node --import`: writes a line about itself every second to the file of KEYSTEAD_WATCH_FILE.

const file = process.env["KEYSTEAD_WATCH_FILE"] ?? "";
const nanosecondsPerMillisecond = 1e6;
// Threads load it, too; what is watched is the one that serves.
if (isMainThread) watch();

function watch(): void {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  setInterval(() => {
    const { rss, heapUsed } = process.memoryUsage();
    const [p99, most] = [delays.percentile(99), delays.max].map((time) => time / nanosecondsPerMillisecond);
    delays.reset();
    appendFileSync(file, `${JSON.stringify({ rss, heapUsed, p99, most })}\n`);
  }, 1_000).unref();
}
