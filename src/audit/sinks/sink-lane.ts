import { type Clock, endsInTime } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import type { AuditProblem } from "../audit-problem.ts";
import type { LineGroup } from "../line-group.ts";
import type { AuditSink } from "./audit-sink.ts";

/** Milliseconds that a sink has for what it is given. Then it hangs, which is a problem: calls are refused and wait no longer. */
const patience = 5_000;

/** Lines that a sink has to take. */
export interface OwedLines {
  readonly writer: string;
  /** In memory of their own: they may be owed for long. */
  readonly lines: LineGroup;
}

/**
 * One sink and what it owes. It is given one thing at a time, in order, and nothing before it has taken or refused what it was given, however long
 * that takes. Who gives it something waits only as long as a sink may take: then the sink has a problem, until it ends what it was given.
 */
export class SinkLane {
  readonly #sink: AuditSink;
  readonly #clock: Clock;
  /** What it has to take next: what is on its way to it, and what it refused before. */
  readonly #owed: OwedLines[] = [];
  /** Why it did not take what it was given last; undefined when it did. */
  #problem: Omit<AuditProblem, "where"> | undefined;
  /** Resolves when it has taken or refused what it was given, or hangs. */
  #giving: Promise<void> = Promise.resolve();
  /** Resolves when a sink that hangs has ended what it was given; undefined when none does. */
  #hanging: Promise<void> | undefined;

  constructor(sink: AuditSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** What keeps it from taking lines at the moment. */
  get problem(): AuditProblem | undefined {
    return this.#problem === undefined ? undefined : { where: this.#sink.name, ...this.#problem };
  }

  /** @throws KeysteadError `AUDIT_UNAVAILABLE` naming the sink, and the sink's own */
  async open(): Promise<void> {
    const opening = this.#sink.open();
    try {
      if (await endsInTime(this.#clock, patience, opening)) return;
    } catch (cause) {
      throw cause instanceof KeysteadError ? cause : unavailable({ where: this.#sink.name, cause });
    }
    const forget = (): void => {
      this.#hanging = undefined;
    };
    // Closed once it is open after all.
    this.#hanging = opening.then(forget, forget);
    throw unavailable({ where: this.#sink.name, cause: hanging("was not opened") });
  }

  /** Gives it lines, behind what it owes. Resolves when it took them, or {@link problem} says why not. */
  async append(lines: OwedLines): Promise<void> {
    this.#owed.push(lines);
    await this.#give();
  }

  /** Gives it again what it owes, unless it hangs. Never rejects. */
  async retry(): Promise<void> {
    if (this.#owed.length > 0) await this.#give();
  }

  /** Tries once more, and closes it. One that hangs is not waited for: it is closed when it has ended what it was given. Never rejects. */
  async close(): Promise<void> {
    await this.retry();
    if (this.#hanging !== undefined) {
      void this.#hanging.then(() => this.close());
      return;
    }
    const isClosed = await endsInTime(this.#clock, patience, this.#sink.close()).catch(() => true);
    if (!isClosed) this.#problem = { cause: hanging("was not closed"), hangs: true };
  }

  #give(): Promise<void> {
    this.#giving = this.#giving.then(() => this.#giveOwed());
    return this.#giving;
  }

  /** Never rejects. */
  async #giveOwed(): Promise<void> {
    try {
      for (let next = this.#owed[0]; next !== undefined && this.#hanging === undefined; next = this.#owed[0]) {
        const taking = this.#sink.append(next.writer, next.lines);
        if (await endsInTime(this.#clock, patience, taking)) this.#owed.shift();
        else this.#hang(taking);
      }
      if (this.#hanging === undefined) this.#problem = undefined;
    } catch (cause) {
      this.#problem = { cause };
    }
  }

  #hang(taking: Promise<void>): void {
    this.#problem = { cause: hanging("did not take its records"), hangs: true };
    this.#hanging = this.#outlast(taking);
  }

  /** Waits for what takes too long, and goes on behind it. Never rejects. */
  async #outlast(taking: Promise<void>): Promise<void> {
    try {
      await taking;
      this.#owed.shift();
    } catch (cause) {
      this.#hanging = undefined;
      this.#problem = { cause };
      return;
    }
    this.#hanging = undefined;
    await this.#give();
  }
}

/** What is said to whoever must wait for a sink. */
export function unavailable({ where, cause }: AuditProblem): KeysteadError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new KeysteadError(
    "AUDIT_UNAVAILABLE",
    `the audit sink ${where} takes no records (${why}), so nothing is answered; repair it, then try again`,
    { cause },
  );
}

function hanging(what: string): Error {
  return new Error(`it ${what} within ${String(patience / 1000)} s; see that its reader reads, or that its disk answers`);
}
