import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import { type RandomSource, RandomPool } from "../crypto/random.ts";
import { randomUuid } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import type { AuditEvent, AuditTrail } from "./event.ts";
import { type ChainPosition, extendChain, startChain } from "./hash-chain.ts";
import { RecordEncoder, type RecordOrigin } from "./record.ts";

/** A line on its way to where it is kept. */
export interface ChainLine {
  readonly sequence: number;
  readonly bytes: Buffer;
  /** Chain value after it. */
  readonly head: Buffer;
}

/** Where lines are kept: a file, or a store. */
export interface LineSink {
  /**
   * Resolves when all lines are durable. After a rejection it is not called again. An error that it resolves to says that they are
   * durable here and not everywhere they must be: the chain goes on, and they are not answered.
   */
  append(lines: readonly ChainLine[]): Promise<KeysteadError | undefined>;
}

/** What a {@link ChainWriter} is made of. */
export interface ChainWriterParts {
  readonly origin: RecordOrigin;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly sink: LineSink;
}

/** Lines that are made durable together, and who waits for that. */
interface Group {
  readonly lines: ChainLine[];
  readonly durable: PromiseWithResolvers<undefined>;
}

/**
 * One writer's hash chain with group commit: everything that is recorded while lines are being made durable goes into the
 * next write together. After a failed write the chain has ended: what is on disk then is unknown, so nothing may follow it.
 */
export class ChainWriter implements AuditTrail {
  readonly #parts: ChainWriterParts;
  readonly #encoder: RecordEncoder;
  readonly #ids: RandomSource;
  #last: ChainPosition;
  #durable: ChainPosition;
  #pending: Group | undefined;
  #draining = false;
  #newest: Promise<unknown> = Promise.resolve();
  #failure: { readonly cause: unknown } | undefined;

  constructor(parts: ChainWriterParts) {
    this.#parts = parts;
    this.#encoder = new RecordEncoder(parts.origin);
    this.#ids = new RandomPool(parts.random, parts.clock);
    this.#last = startChain(parts.origin.writer);
    this.#durable = this.#last;
  }

  /** Position after the last durable record. */
  get durable(): ChainPosition {
    return this.#durable;
  }

  /** True after a failed write. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Why a write failed; undefined when none did. */
  get failure(): unknown {
    return this.#failure?.cause;
  }

  /** @throws KeysteadError `AUDIT_UNAVAILABLE`, `INVALID_ARGUMENT` for an event that no record can hold */
  record(event: AuditEvent): Promise<void> {
    try {
      return this.#add(event).promise;
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error("the event can't be recorded", { cause: error }));
    }
  }

  /** @returns when it is durable: all records of a write share one promise */
  #add(event: AuditEvent): PromiseWithResolvers<undefined> {
    if (this.#failure !== undefined) throw unavailable(this.#failure.cause);
    const { count, head } = this.#last;
    const place = { sequence: count + 1, previous: head, time: this.#parts.clock.now(), id: randomUuid(this.#ids) };
    const bytes = this.#encoder.encode(place, event);
    this.#last = extendChain(this.#last, bytes);
    const group = (this.#pending ??= this.#startGroup());
    group.lines.push({ sequence: place.sequence, bytes, head: this.#last.head });
    if (!this.#draining) void this.#drain();
    return group.durable;
  }

  /** Resolves when everything that was recorded before is durable or refused. */
  async settled(): Promise<void> {
    await this.#newest;
  }

  #startGroup(): Group {
    const durable = Promise.withResolvers<undefined>();
    this.#newest = durable.promise.catch(() => undefined);
    return { lines: [], durable };
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    while (this.#pending !== undefined) {
      // What other callers bring in the same turn of the event loop goes into the same write.
      await nextTurn();
      const group = this.#pending;
      const end = this.#last;
      this.#pending = undefined;
      let refusal: KeysteadError | undefined;
      try {
        refusal = await this.#parts.sink.append(group.lines);
      } catch (cause) {
        this.#fail(cause, group);
        break;
      }
      this.#durable = end;
      if (refusal === undefined) group.durable.resolve(undefined);
      else group.durable.reject(refusal);
    }
    this.#draining = false;
  }

  /** Ends the chain, and refuses what was to go into it. */
  #fail(cause: unknown, group: Group): void {
    this.#failure = { cause };
    group.durable.reject(unavailable(cause));
    this.#pending?.durable.reject(unavailable(cause));
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
