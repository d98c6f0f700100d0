import { styleText } from "node:util";
import { type Clock } from "../../index.ts";
import { Progress, type ProgressSubject } from "../progress.ts";
import { formatCount } from "../table.ts";

/** Where the tour tells its story. */
export interface ReportOutput {
  /** Takes whole lines. */
  readonly write: (text: string) => Promise<void>;
  /** Takes what comes and goes on a terminal; absent: nobody sees it. */
  readonly bar: { readonly write: (text: string) => void; readonly width: number | undefined } | undefined;
  /** Real time, for measuring. */
  readonly clock: Clock;
}

/** What a step did. */
export interface StepOutcome<T> {
  readonly result: T;
  /** In one line. */
  readonly text: string;
  /** More, below it. */
  readonly details?: readonly string[];
  readonly rows?: number;
  readonly values?: number;
}

/** What a step did, for machines. */
export interface StepTiming {
  readonly step: string;
  readonly seconds: number;
  readonly rows?: number;
  readonly values?: number;
  readonly rowsPerSecond?: number;
}

const nameWidth = 15;

/** Runs the steps of the tour, measures them and tells about them. */
export class Report {
  readonly #output: ReportOutput;
  readonly #began: number;
  readonly #timings: StepTiming[] = [];

  constructor(output: ReportOutput) {
    this.#output = output;
    this.#began = output.clock.monotonic();
  }

  /** What every step took, in order. */
  get timings(): readonly StepTiming[] {
    return this.#timings;
  }

  /** Seconds since the beginning. */
  get seconds(): number {
    return rounded((this.#output.clock.monotonic() - this.#began) / 1000);
  }

  /** Does a step and tells what it did and how long it took. */
  async step<T>(name: string, work: () => Promise<StepOutcome<T>>): Promise<T> {
    const { clock } = this.#output;
    const began = clock.monotonic();
    const { result, text, details = [], rows, values } = await work();
    const seconds = rounded((clock.monotonic() - began) / 1000);
    const rowsPerSecond = rows === undefined || seconds === 0 ? undefined : Math.round(rows / seconds);
    this.#timings.push({
      step: name,
      seconds,
      ...(rows !== undefined && { rows }),
      ...(values !== undefined && { values }),
      ...(rowsPerSecond !== undefined && { rowsPerSecond }),
    });
    const speed = rowsPerSecond === undefined ? "" : `, ${formatCount(rowsPerSecond)} rows/s`;
    await this.line(
      `${styleText("green", "✓")} ${styleText("bold", name.padEnd(nameWidth))} ${text} ${styleText("dim", `(${formatSeconds(seconds)}${speed})`)}`,
    );
    for (const detail of details) await this.line(`    ${detail}`);
    return result;
  }

  /** A line by itself. */
  async line(text: string): Promise<void> {
    await this.#output.write(`${text}\n`);
  }

  /** Shows how far the work is while it goes on. */
  async progress<T>(subject: ProgressSubject, work: (progress: Progress) => Promise<T>): Promise<T> {
    const { bar, clock } = this.#output;
    const mode = bar === undefined ? "silent" : "bar";
    const progress = new Progress(subject, { clock, mode, write: (text) => bar?.write(text), width: bar?.width });
    return work(progress).finally(() => {
      progress.end();
    });
  }
}

/** Seconds as people read them: `0.04 s`, `1.3 s`, `12 s`. */
export function formatSeconds(seconds: number): string {
  return `${seconds.toFixed(seconds < 0.1 ? 2 : seconds < 10 ? 1 : 0)} s`;
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
