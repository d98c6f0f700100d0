import type { Clock } from "../../clock.ts";
import type { KeysteadError } from "../../errors.ts";
import type { AuditProblem } from "../audit-problem.ts";
import type { LineSink } from "../chain-writer.ts";
import { copyOf, type LineGroup } from "../line-group.ts";
import type { AuditSink } from "./audit-sink.ts";
import { SinkLane, unavailable } from "./sink-lane.ts";

const retryInterval = 1000;

/**
 * All sinks of a process. Each must take every line: while one does not, nothing is answered, and it is tried again at most once a
 * second. What it owes is bounded by what was being recorded when it failed. One that neither takes nor refuses lines for five seconds has
 * failed, too; it is given nothing else until it has ended, and works again when it ended well.
 */
export class AuditSinks {
  readonly #lanes: readonly SinkLane[];
  readonly #clock: Clock;
  #lastRetry = Number.NEGATIVE_INFINITY;
  #retrying: Promise<void> | undefined;

  private constructor(sinks: readonly AuditSink[], clock: Clock) {
    this.#lanes = sinks.map((sink) => new SinkLane(sink, clock));
    this.#clock = clock;
  }

  /** @throws KeysteadError `AUDIT_UNAVAILABLE` naming the sink that can't be opened */
  static async open(sinks: readonly AuditSink[], clock: Clock): Promise<AuditSinks> {
    const opened = new AuditSinks(sinks, clock);
    try {
      for (const lane of opened.#lanes) await lane.open();
    } catch (error) {
      await opened.close();
      throw error;
    }
    return opened;
  }

  /** True when there are none to give lines to. */
  get none(): boolean {
    return this.#lanes.length === 0;
  }

  /** The sinks that fail or hang, each with its cause. */
  get problems(): AuditProblem[] {
    return this.#lanes.flatMap(({ problem }) => problem ?? []);
  }

  /** Gives lines to all sinks. Resolves to an error when one does not take them. */
  async append(writer: string, lines: LineGroup): Promise<KeysteadError | undefined> {
    // Owed lines may be had for long.
    const owned = { writer, lines: copyOf(lines) };
    await Promise.all(this.#lanes.map((lane) => lane.append(owned)));
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
    return this.#lanes.every(({ problem }) => problem === undefined);
  }

  /** Tries failed sinks once more, and closes all. Does not wait for one that hangs. */
  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  async #retry(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.retry()));
  }

  #failure(): KeysteadError | undefined {
    const [first] = this.problems;
    return first === undefined ? undefined : unavailable(first);
  }
}

/** A sink of lines that is durable once the sinks beside it have them, too. */
export function withSinks(sink: LineSink, writer: string, sinks: AuditSinks | undefined): LineSink {
  if (sinks === undefined || sinks.none) return sink;
  return {
    append: async (lines, onHang) => {
      const [own, others] = await Promise.allSettled([sink.append(lines, onHang), sinks.append(writer, lines)]);
      if (own.status === "rejected") throw own.reason;
      return own.value ?? (others.status === "fulfilled" ? others.value : undefined);
    },
  };
}
