import { load, type LoadFigures, type LoadRequest } from "./wrk.ts";
import { processorTime, untilAtRest } from "./processor-time.ts";

/** One kind of load: on a server, or an act of this process, done over and over by one caller. */
export type LoadContender = {
  readonly name: string;
  /** Operations of one call. */
  readonly items: number;
} & (
  | {
      readonly request: LoadRequest;
      readonly connections: number;
      /** Of the server; its processor time is told, with what it does after the last answer. */
      readonly pid: number;
    }
  | { readonly act: () => Promise<unknown> }
);

interface Turn extends LoadFigures {
  /** Processor microseconds of the server per call, what it put off included. */
  readonly cost: number;
}

const warmUpSeconds = 2;

/** What a goal is about: more is better, but for latency. */
const measures = {
  calls: { of: perSecond, words: "calls a second", isAtLeast: true },
  items: { of: itemsPerSecond, words: "items a second", isAtLeast: true },
  p99: { of: (_contender: LoadContender, { p99 }: Turn) => p99, words: "the latency at p99", isAtLeast: false },
} as const;

/** Loads servers in turns, round by round and in changing order, so that the machine's moods meet all of them. */
export class LoadComparison {
  readonly #folder: string;
  readonly #contenders: readonly LoadContender[];
  readonly #seconds: number;
  readonly #turns = new Map<string, Turn[]>();

  constructor(folder: string, contenders: readonly LoadContender[], seconds: number) {
    this.#folder = folder;
    this.#contenders = contenders;
    this.#seconds = seconds;
  }

  async run(rounds: number): Promise<void> {
    for (const contender of this.#contenders) await this.#turn(contender, Math.min(this.#seconds, warmUpSeconds));
    for (let round = 0; round < rounds; round++)
      for (let turn = 0; turn < this.#contenders.length; turn++) {
        const contender = this.#contenders[(turn + round) % this.#contenders.length];
        if (contender === undefined) continue;
        const turns = this.#turns.get(contender.name) ?? [];
        this.#turns.set(contender.name, [...turns, await this.#turn(contender, this.#seconds)]);
      }
  }

  /** Calls per second (min / median / max), items per second, latencies and processor time (medians). */
  print(title: string): void {
    const heads = ["calls/s min", "median", "max", "items/s", "p50 ms", "p99 ms", "CPU µs/call"];
    const lines = [`\n${title}`, `  ${"".padEnd(50)}${heads.map((head) => head.padStart(13)).join("")}`];
    for (const contender of this.#contenders) {
      const turns = this.#turns.get(contender.name) ?? [];
      const calls = turns.map((turn) => perSecond(contender, turn));
      const cells = [
        ...[Math.min(...calls), median(calls), Math.max(...calls)].map((value) => value.toFixed(0)),
        (median(calls) * contender.items).toFixed(0),
        ...[turns.map(({ p50 }) => p50), turns.map(({ p99 }) => p99)].map((times) => median(times).toFixed(2)),
        median(turns.map(({ cost }) => cost)).toFixed(0),
      ];
      const failures = turns.reduce((sum, turn) => sum + turn.failures, 0);
      const failed = failures === 0 ? "" : `  ${failures} FAILED`;
      lines.push(`  ${contender.name.padEnd(50)}${cells.map((cell) => cell.padStart(13)).join("")}${failed}`);
    }
    process.stdout.write(`${lines.join("\n")}\n`);
  }

  /** Prints whether a goal is met, by the median of the ratios within rounds. @param ratio - at least, or at most for latency */
  goal(name: string, measure: keyof typeof measures, to: string, ratio: number): void {
    const { of, words, isAtLeast } = measures[measure];
    const own = this.#figures(name, of);
    const others = this.#figures(to, of);
    const ratios = own.map((value, round) => value / (others[round] ?? Number.NaN));
    const middle = median(ratios);
    const isMet = isAtLeast ? middle >= ratio : middle <= ratio;
    const spread = `${Math.min(...ratios).toFixed(2)} / ${middle.toFixed(2)} / ${Math.max(...ratios).toFixed(2)}`;
    const bound = isAtLeast ? "at least" : "at most";
    process.stdout.write(
      `  ${isMet ? "met   " : "MISSED"} ${words} of "${name}" are ${spread} of "${to}" (min / median / max); the goal is ${bound} ${ratio}\n`,
    );
  }

  #figures(name: string, of: (contender: LoadContender, turn: Turn) => number): number[] {
    const contender = this.#contenders.find((candidate) => candidate.name === name);
    return contender === undefined ? [] : (this.#turns.get(name) ?? []).map((turn) => of(contender, turn));
  }

  async #turn(contender: LoadContender, seconds: number): Promise<Turn> {
    if ("act" in contender) return repeat(contender.act, seconds);
    const { request, connections, pid } = contender;
    const before = processorTime(pid);
    const figures = await load(this.#folder, request, connections, seconds);
    await untilAtRest(pid);
    return { ...figures, cost: ((processorTime(pid) - before) * 1_000) / figures.requests };
  }
}

async function repeat(act: () => Promise<unknown>, seconds: number): Promise<Turn> {
  const times: number[] = [];
  const used = process.cpuUsage();
  const begun = performance.now();
  for (let now = begun; now - begun < seconds * 1_000;) {
    await act();
    const after = performance.now();
    times.push(after - now);
    now = after;
  }
  const { user, system } = process.cpuUsage(used);
  const passed = (performance.now() - begun) / 1_000;
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)] ?? Number.NaN;
  const requests = times.length;
  return { requests, seconds: passed, failures: 0, p50: at(0.5), p99: at(0.99), cost: (user + system) / requests };
}

function perSecond(_contender: LoadContender, { requests, seconds, failures }: Turn): number {
  return (requests - failures) / seconds;
}

function itemsPerSecond(contender: LoadContender, turn: Turn): number {
  return perSecond(contender, turn) * contender.items;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}
