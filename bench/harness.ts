/** One of several ways to do the same work. */
export interface Contender {
  readonly name: string;
  /** Operations (or bytes, rows) of one run. */
  readonly units: number;
  /** What comes before each run and is not measured. */
  prepare?(): unknown;
  run(): unknown;
}

/** What a benchmark prints and returns: times per unit in nanoseconds, and the median of the ratio to the first contender. */
export interface Measurement {
  readonly name: string;
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly ratio: number;
}

/** A limit on a ratio that the project sets itself. */
export interface Goal {
  readonly contender: string;
  readonly to: string;
  /** `contender` takes at most so many times what `to` takes. */
  readonly atMost: number;
}

/**
 * Runs the contenders in turns, round by round and in changing order, so that the machine's moods meet all of them; prints
 * min, median and max per unit and the median of the ratios within rounds.
 */
export async function compare(
  title: string,
  contenders: readonly Contender[],
  options: { readonly rounds: number; readonly goals?: readonly Goal[] },
): Promise<Measurement[]> {
  const times = contenders.map(() => new Array<number>());
  for (let round = -1; round < options.rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const position = (turn + Math.max(round, 0)) % contenders.length;
      const contender = contenders[position];
      if (contender === undefined) continue;
      await contender.prepare?.();
      const began = process.hrtime.bigint();
      await contender.run();
      const nanoseconds = Number(process.hrtime.bigint() - began) / contender.units;
      // The first round warms up.
      if (round >= 0) times[position]?.push(nanoseconds);
    }
  }
  const reference = times[0] ?? [];
  const measured = contenders.map(({ name }, position) => {
    const own = times[position] ?? [];
    return { name, ...spread(own), ratio: median(own.map((time, round) => time / (reference[round] ?? Number.NaN))) };
  });
  print(title, measured, options.goals ?? [], contenders, times);
  return measured;
}

/** Shortest, middle and longest of some times. */
function spread(values: readonly number[]): { readonly min: number; readonly median: number; readonly max: number } {
  return { min: Math.min(...values), median: median(values), max: Math.max(...values) };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

function print(
  title: string,
  measured: readonly Measurement[],
  goals: readonly Goal[],
  contenders: readonly Contender[],
  times: readonly number[][],
): void {
  const lines = [`\n${title}`, `  ${"".padEnd(44)}${["min", "median", "max", "ratio"].map((head) => head.padStart(12)).join("")}`];
  for (const { name, min, median: middle, max, ratio } of measured) {
    lines.push(
      `  ${name.padEnd(44)}${[min, middle, max].map((value) => time(value).padStart(12)).join("")}${ratio.toFixed(2).padStart(12)}`,
    );
  }
  const timesOf = (name: string): readonly number[] => times[contenders.findIndex((contender) => contender.name === name)] ?? [];
  for (const { contender, to, atMost } of goals) {
    const others = timesOf(to);
    const ratio = median(timesOf(contender).map((own, round) => own / (others[round] ?? Number.NaN)));
    lines.push(
      `  ${ratio <= atMost ? "met   " : "MISSED"} ${contender} takes ${ratio.toFixed(3)} of ${to}; the goal is at most ${String(atMost)}`,
    );
  }
  process.stdout.write(`${lines.join("\n")}\n`);
}

function time(nanoseconds: number): string {
  if (nanoseconds < 1e3) return `${nanoseconds.toFixed(1)} ns`;
  if (nanoseconds < 1e6) return `${(nanoseconds / 1e3).toFixed(2)} µs`;
  return nanoseconds < 1e9 ? `${(nanoseconds / 1e6).toFixed(1)} ms` : `${(nanoseconds / 1e9).toFixed(2)} s`;
}
