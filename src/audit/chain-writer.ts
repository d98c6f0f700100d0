import type { Clock } from "../clock.ts";
import { type RandomSource, RandomPool } from "../crypto/random.ts";
import { uuidOf } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import type { AuditEvent, AuditTrail } from "./event.ts";
import { Gathering } from "./gathering.ts";
import { type ChainPosition, GrowingChain } from "./hash-chain.ts";
import { LineAssembly, type LineGroup } from "./line-group.ts";
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
   */
  append(lines: LineGroup): Promise<KeysteadError | undefined>;
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
 */
export class ChainWriter implements AuditTrail {
  readonly #parts: ChainWriterParts;
  readonly #encoder: RecordEncoder;
  readonly #ids: RandomPool;
  readonly #chain: GrowingChain;
  /** The lines of the next write. */
  readonly #lines = new LineAssembly();
  #durable: ChainPosition;
  /** Who waits for the next write; undefined when there are no lines for it. */
  #pending: PromiseWithResolvers<undefined> | undefined;
  readonly #gathering = new Gathering();
  #draining = false;
  #newest: Promise<unknown> = Promise.resolve();
  #failure: { readonly cause: unknown } | undefined;

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
    const { count, head } = this.#chain;
    const place = { sequence: count + 1, previous: head, time: this.#parts.clock.now(), id: uuidOf(this.#ids.hex(uuidBytes)) };
    this.#lines.add(this.#chain.add(this.#encoder.encode(place, event)));
    const durable = (this.#pending ??= this.#startGroup());
    if (!this.#draining) void this.#drain();
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

  #startGroup(): PromiseWithResolvers<undefined> {
    const durable = Promise.withResolvers<undefined>();
    this.#newest = durable.promise.catch(() => undefined);
    return durable;
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    while (this.#pending !== undefined) {
      if (this.#waiting < enoughRecords) await this.#gathering.wait(() => this.#chain.count);
      const waiting = this.#pending;
      const end = this.#chain.position;
      const lines = { first: this.#durable.count + 1, last: end.count, head: this.#chain.head, bytes: this.#lines.take() };
      this.#pending = undefined;
      let refusal: KeysteadError | undefined;
      try {
        refusal = await this.#parts.sink.append(lines);
      } catch (cause) {
        this.#fail(cause, waiting);
        break;
      }
      this.#durable = end;
      if (refusal === undefined) waiting.resolve(undefined);
      else waiting.reject(refusal);
    }
    this.#draining = false;
  }

  /** Ends the chain, and refuses what was to go into it. */
  #fail(cause: unknown, waiting: PromiseWithResolvers<undefined>): void {
    this.#failure = { cause };
    waiting.reject(unavailable(cause));
    this.#pending?.reject(unavailable(cause));
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
