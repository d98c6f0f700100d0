import type { Clock } from "../clock.ts";
import { type RandomSource, RandomPool } from "../crypto/random.ts";
import { uuidOf } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import type { AuditProblem } from "./audit-problem.ts";
import type { AuditEvent, AuditTrail } from "./event.ts";
import { Gathering } from "./gathering.ts";
import { type ChainPosition, GrowingChain } from "./hash-chain.ts";
import { LineAssembly, type LineGroup } from "./line-group.ts";
import { RecordedRefusal } from "./recorded-refusal.ts";
import { maxLineLength, RecordEncoder, type RecordOrigin } from "./record.ts";

/**
 * Records that are written without waiting for more: each adds little to what a trip to the disk costs, and what comes meanwhile is served
 * while the disk works.
 */
const enoughRecords = 16;

const uuidBytes = 16;

/** Where lines are kept: a file, or a store. */
export interface LineSink {
  /**
   * Resolves when all lines are durable. Their memory is used again then: what is to be had for longer is copied. After a rejection it is
   * not called again. An error that it resolves to says that they are durable here and not everywhere they must be: the chain goes on, and
   * they are not answered. It lets the event loop turn, or busy callers would keep everything else from it.
   * @param onHang - may be told once that this takes too long, and why: nobody is kept waiting then but the next write
   */
  append(lines: LineGroup, onHang: (cause: Error) => void): Promise<KeysteadError | undefined>;
}

/** What a {@link ChainWriter} is made of. */
export interface ChainWriterParts {
  readonly origin: RecordOrigin;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly sink: LineSink;
}

/**
 * One writer's hash chain with group commit: everything that is recorded while lines are being made durable goes into the
 * next write together. After a failed write the chain has ended: what is on disk then is unknown, so nothing may follow it.
 * While a write hangs everything is refused, also what it holds and what waits for the next one: both are in the chain, so they are written
 * when it ends well, and the chain goes on behind them.
 */
export class ChainWriter implements AuditTrail {
  readonly #parts: ChainWriterParts;
  readonly #encoder: RecordEncoder;
  readonly #ids: RandomPool;
  readonly #chain: GrowingChain;
  /** The lines of the next write. */
  readonly #lines = new LineAssembly();
  #durable: ChainPosition;
  /** Who waits for the next write; undefined when nobody does. */
  #pending: PromiseWithResolvers<undefined> | undefined;
  /** Who waits for the write that is under way. */
  #writing: PromiseWithResolvers<undefined> | undefined;
  readonly #gathering = new Gathering();
  /** Ends when there is nothing to write any more; undefined while there is not. */
  #draining: Promise<void> | undefined;
  #newest: Promise<unknown> = Promise.resolve();
  #problem: Omit<AuditProblem, "where"> | undefined;
  readonly #onHang = (cause: Error): void => {
    this.#refuse({ cause, hangs: true });
  };

  constructor(parts: ChainWriterParts) {
    this.#parts = parts;
    this.#encoder = new RecordEncoder(parts.origin);
    this.#ids = new RandomPool(parts.random, parts.clock);
    this.#chain = new GrowingChain(parts.origin.writer, maxLineLength);
    this.#durable = this.#chain.position;
  }

  /** Position after the last durable record. */
  get durable(): ChainPosition {
    return this.#durable;
  }

  /** True after a failed write. */
  get failed(): boolean {
    return this.#problem !== undefined && this.#problem.hangs !== true;
  }

  /** Why a write failed, or that one hangs; undefined when neither is so. */
  get problem(): Omit<AuditProblem, "where"> | undefined {
    return this.#problem;
  }

  /** @throws KeysteadError `AUDIT_UNAVAILABLE` ({@link RecordedRefusal} when it is durable), `INVALID_ARGUMENT` for an event that no record can hold */
  record(event: AuditEvent): Promise<void> {
    try {
      return this.#add(event).promise;
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error("the event can't be recorded", { cause: error }));
    }
  }

  /** @returns when it is durable: all records of a write share one promise */
  #add(event: AuditEvent): PromiseWithResolvers<undefined> {
    if (this.#problem !== undefined) throw unavailable(this.#problem.cause);
    const { count, head } = this.#chain;
    const place = { sequence: count + 1, previous: head, time: this.#parts.clock.now(), id: uuidOf(this.#ids.hex(uuidBytes)) };
    this.#lines.add(this.#chain.add(this.#encoder.encode(place, event)));
    const durable = (this.#pending ??= this.#startGroup());
    if (this.#draining === undefined) this.#draining = this.#drain();
    else if (this.#waiting >= enoughRecords) this.#gathering.end();
    return durable;
  }

  /** Records that are not durable yet. */
  get #waiting(): number {
    return this.#chain.count - this.#durable.count;
  }

  /** Resolves when everything that was recorded before is durable or refused. */
  async settled(): Promise<void> {
    await this.#newest;
  }

  /** Resolves when nothing is being written, however long that takes. */
  async idle(): Promise<void> {
    await this.#draining;
  }

  #startGroup(): PromiseWithResolvers<undefined> {
    const durable = Promise.withResolvers<undefined>();
    this.#newest = durable.promise.catch(() => undefined);
    return durable;
  }

  async #drain(): Promise<void> {
    while (this.#waiting > 0) {
      if (this.#waiting < enoughRecords) await this.#gathering.wait(() => this.#chain.count);
      const end = this.#chain.position;
      const lines = { first: this.#durable.count + 1, last: end.count, head: this.#chain.head, bytes: this.#lines.take() };
      this.#writing = this.#pending;
      this.#pending = undefined;
      let refusal: KeysteadError | undefined;
      try {
        refusal = await this.#parts.sink.append(lines, this.#onHang);
      } catch (cause) {
        // Ends the chain.
        this.#refuse({ cause });
        break;
      }
      this.#durable = end;
      this.#problem = undefined;
      if (refusal === undefined) this.#writing?.resolve(undefined);
      else this.#writing?.reject(new RecordedRefusal(refusal));
    }
    this.#draining = undefined;
  }

  /** Refuses what is being written and what was to follow it. */
  #refuse(problem: Omit<AuditProblem, "where">): void {
    this.#problem = problem;
    for (const group of [this.#writing, this.#pending]) group?.reject(unavailable(problem.cause));
    this.#pending = undefined;
  }
}

function unavailable(cause: unknown): KeysteadError {
  return new KeysteadError(
    "AUDIT_UNAVAILABLE",
    "the audit record can't be made durable, so nothing is answered; free space or repair the disk, then try again",
    { cause },
  );
}
