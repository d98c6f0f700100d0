import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Bytes outside the heap, those of buffers, that may come before garbage is collected. V8 by itself waits for 64 MiB. */
const mostNewBytes = 2 ** 24;
/** Milliseconds between two looks, which take microseconds. */
const lookEvery = 10;

let looking: NodeJS.Timeout | undefined;

/**
 * Keeps the memory of this process small: a job makes much garbage and holds little, which V8 otherwise lets grow to several hundred
 * megabytes before it collects it. Costs no speed, as measured by `npm run bench -- datasets`: where values are of ordinary size, V8
 * has always collected before.
 */
export function keepHeapSmall(): void {
  if (looking !== undefined) return;
  // What is young is collected often instead of being given more room, and what is old once it has grown by a fifth.
  for (const flag of ["--semi-space-growth-factor=1", "--heap-growing-percent=20", "--expose-gc"]) setFlagsFromString(flag);
  const collect: unknown = runInNewContext("gc");
  if (typeof collect !== "function") return;
  let least = getHeapStatistics().external_memory;
  looking = setInterval(() => {
    const { external_memory: now } = getHeapStatistics();
    least = Math.min(least, now);
    if (now - least < mostNewBytes) return;
    Reflect.apply(collect, undefined, []);
    least = getHeapStatistics().external_memory;
  }, lookEvery).unref();
}
