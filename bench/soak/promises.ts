import type { SoakLoad } from "./load.ts";

/** What a served process says of itself for one second. */
export interface Sample {
  /** Bytes. */
  readonly rss: number;
  readonly heapUsed: number;
  /** Delays of the event loop, in milliseconds: the 99th percentile of the second, and the longest. */
  readonly p99: number;
  readonly most: number;
}

const mebibyte = 1_048_576;
/** Share of the time in which code is compiled and caches fill. */
const warmUpShare = 0.3;
/** What is compared of the rest: its beginning with its end, so that slow growth is seen, too. */
const comparedShare = 0.2;
const mostGrowth = 1.1;
const mostDelay = 50;

/** Prints what was promised and what came of it. @returns true when all of it was kept */
export function judge(samples: readonly Sample[], { done, failures }: Pick<SoakLoad, "done" | "failures">): boolean {
  const warm = samples.slice(Math.floor(samples.length * warmUpShare));
  const compared = Math.floor(warm.length * comparedShare);
  const [early, late] = [warm.slice(0, compared), warm.slice(warm.length - compared)];
  const rss = growth(early, late, (part) => median(part.map((sample) => sample.rss)));
  // What is left after collections: between them the heap goes up and down.
  const heap = growth(early, late, (part) =>
    quantile(
      part.map((sample) => sample.heapUsed),
      0.1,
    ),
  );
  const delay = quantile(
    warm.map((sample) => sample.p99),
    0.99,
  );
  const longest = Math.max(...warm.map(({ most }) => most));
  const idle = [...done].filter(([, count]) => count === 0).map(([name]) => name);
  const rows: readonly (readonly [string, string, boolean])[] = [
    ["no unexpected error", `${failures.length} failed`, failures.length === 0],
    ["everything was done", idle.length === 0 ? "all of it" : `never: ${idle.join(", ")}`, idle.length === 0],
    ["resident memory flat within 10 %", rss.words, rss.ratio <= mostGrowth],
    ["heap after collections flat within 10 %", heap.words, heap.ratio <= mostGrowth],
    [
      `event-loop delay p99 < ${mostDelay} ms`,
      `${delay.toFixed(1)} ms in the worst seconds; longest ${longest.toFixed(1)} ms`,
      delay < mostDelay,
    ],
  ];
  for (const [promise, found, kept] of rows) process.stdout.write(`  ${kept ? "kept  " : "BROKEN"} ${promise.padEnd(42)} ${found}\n`);
  return rows.every(([, , kept]) => kept);
}

function growth(
  early: readonly Sample[],
  late: readonly Sample[],
  of: (part: readonly Sample[]) => number,
): { readonly ratio: number; readonly words: string } {
  const [before, after] = [of(early), of(late)];
  const ratio = after / before;
  return { ratio, words: `${(before / mebibyte).toFixed(1)} MiB, then ${(after / mebibyte).toFixed(1)} MiB (${ratio.toFixed(3)})` };
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** NaN of nothing, which keeps no promise. */
function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
}
