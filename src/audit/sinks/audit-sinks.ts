import type { Clock } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import type { LineSink } from "../chain-writer.ts";
import { copyOf, type LineGroup } from "../line-group.ts";
import type { AuditSink } from "./audit-sink.ts";

const retryInterval = 1000;

/** Something that keeps the audit from working. */
export interface AuditProblem {
  /** `journal`, `store`, `checkpoints`, `witness`, or the name of a sink. */
  readonly where: string;
  readonly cause: unknown;
}

interface Sink {
  readonly sink: AuditSink;
  /** What it has to take next: what is on its way to it, and what it refused before. */
  readonly owed: { readonly writer: string; readonly lines: LineGroup }[];
  /** Why it refused what it was given last; undefined when it took that. */
  problem: { readonly cause: unknown } | undefined;
  /** Resolves when it has taken or refused what it was given: it is given one thing at a time. */
  giving: Promise<void>;
}

/**
 * All sinks of a process. Each must take every line: while one does not, nothing is answered, and it is tried again at most once a
 * second. What it owes is bounded by what was being recorded when it failed.
 */
export class AuditSinks {
  readonly #sinks: readonly Sink[];
  readonly #clock: Clock;
  #lastRetry = Number.NEGATIVE_INFINITY;
  #retrying: Promise<void> | undefined;

  private constructor(sinks: readonly AuditSink[], clock: Clock) {
    this.#sinks = sinks.map((sink) => ({ sink, owed: [], problem: undefined, giving: Promise.resolve() }));
    this.#clock = clock;
  }

  /** @throws KeysteadError `AUDIT_UNAVAILABLE` naming the sink that can't be opened */
  static async open(sinks: readonly AuditSink[], clock: Clock): Promise<AuditSinks> {
    const opened = new AuditSinks(sinks, clock);
    for (const sink of sinks) {
      try {
        await sink.open();
      } catch (cause) {
        await opened.close();
        throw cause instanceof KeysteadError ? cause : unavailable(sink.name, cause);
      }
    }
    return opened;
  }

  /** True when there are none to give lines to. */
  get none(): boolean {
    return this.#sinks.length === 0;
  }

  /** The sinks that fail, each with its cause. */
  get problems(): AuditProblem[] {
    return this.#sinks.flatMap(({ sink, problem }) => (problem === undefined ? [] : [{ where: sink.name, cause: problem.cause }]));
  }

  /** Gives lines to all sinks. Resolves to an error when one does not take them. */
  async append(writer: string, lines: LineGroup): Promise<KeysteadError | undefined> {
    // Owed lines may be had for long.
    const owned = { writer, lines: copyOf(lines) };
    for (const { owed } of this.#sinks) owed.push(owned);
    await Promise.all(this.#sinks.map(give));
    return this.#failure();
  }

  /**
   * Tries failed sinks again; at once when none failed.
   * @throws KeysteadError `AUDIT_UNAVAILABLE` while one fails
   */
  async recover(): Promise<void> {
    if (this.#failure() === undefined) return;
    const now = this.#clock.monotonic();
    if (this.#retrying === undefined && now - this.#lastRetry >= retryInterval) {
      this.#lastRetry = now;
      this.#retrying = this.#retry().finally(() => {
        this.#retrying = undefined;
      });
    }
    await this.#retrying;
    const failure = this.#failure();
    if (failure !== undefined) throw failure;
  }

  /** True when {@link recover} has nothing to do. */
  get working(): boolean {
    return this.#sinks.every(({ problem }) => problem === undefined);
  }

  async close(): Promise<void> {
    await this.#retry();
    for (const { sink } of this.#sinks) await sink.close().catch(() => undefined);
  }

  async #retry(): Promise<void> {
    await Promise.all(this.#sinks.filter(({ owed }) => owed.length > 0).map(give));
  }

  #failure(): KeysteadError | undefined {
    const [first] = this.problems;
    return first === undefined ? undefined : unavailable(first.where, first.cause);
  }
}

/** A sink of lines that is durable once the sinks beside it have them, too. */
export function withSinks(sink: LineSink, writer: string, sinks: AuditSinks | undefined): LineSink {
  if (sinks === undefined || sinks.none) return sink;
  return {
    append: async (lines) => {
      const [own, others] = await Promise.allSettled([sink.append(lines), sinks.append(writer, lines)]);
      if (own.status === "rejected") throw own.reason;
      return own.value ?? (others.status === "fulfilled" ? others.value : undefined);
    },
  };
}

/** Gives a sink what it owes, once it has taken or refused what is on its way. */
function give(to: Sink): Promise<void> {
  to.giving = to.giving.then(() => giveOwed(to));
  return to.giving;
}

/** Never rejects. */
async function giveOwed(to: Sink): Promise<void> {
  try {
    for (let next = to.owed[0]; next !== undefined; next = to.owed[0]) {
      await to.sink.append(next.writer, next.lines);
      to.owed.shift();
    }
    to.problem = undefined;
  } catch (cause) {
    to.problem = { cause };
  }
}

function unavailable(name: string, cause: unknown): KeysteadError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new KeysteadError(
    "AUDIT_UNAVAILABLE",
    `the audit sink ${name} takes no records (${why}), so nothing is answered; repair it, then try again`,
    {
      cause,
    },
  );
}
