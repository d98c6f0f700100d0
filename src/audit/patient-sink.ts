import type { Clock } from "../clock.ts";
import type { KeysteadError } from "../errors.ts";
import type { LineSink } from "./chain-writer.ts";
import type { LineGroup } from "./line-group.ts";

/** Milliseconds between two looks at the write that is under way. A timer for each write would cost more than a small one does. */
const interval = 1_000;

/** Milliseconds that a write may surely take. */
const patience = 5_000;

/** Looks that find the same write under way: then it hangs. The first one may come at once, from the write before. */
const mostLooks = patience / interval + 1;

/** Tells when lines are not taken within five to six seconds, and goes on waiting for them. */
export class PatientSink implements LineSink {
  readonly #sink: LineSink;
  readonly #clock: Clock;
  /** What is told that the write under way hangs; undefined when none is under way, or that was told. */
  #onHang: ((cause: Error) => void) | undefined;
  /** How often the write under way was looked at. */
  #looks = 0;
  #timer: AbortController | undefined;

  constructor(sink: LineSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  async append(lines: LineGroup, onHang: (cause: Error) => void): Promise<KeysteadError | undefined> {
    this.#onHang = onHang;
    this.#looks = 0;
    if (this.#timer === undefined) this.#watch();
    try {
      return await this.#sink.append(lines, onHang);
    } finally {
      this.#onHang = undefined;
    }
  }

  /** Looks no more: it is given nothing from now on. */
  end(): void {
    this.#timer?.abort();
  }

  /** Looks once a second until no write is found. */
  #watch(): void {
    const timer = new AbortController();
    this.#timer = timer;
    this.#clock.wait(interval, timer.signal).then(
      () => {
        this.#look();
      },
      () => undefined,
    );
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#onHang === undefined) return;
    this.#looks++;
    if (this.#looks < mostLooks) {
      this.#watch();
      return;
    }
    this.#onHang(new Error(`it did not take its records within ${String(patience / 1000)} s; see that its disk answers`));
    this.#onHang = undefined;
  }
}
