import type { Clock } from "../clock.ts";
import type { RandomSource } from "../crypto/random.ts";
import { randomUuid } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import type { AuditEvent, AuditTrail } from "./event.ts";
import { type ChainPosition, extendChain, startChain } from "./hash-chain.ts";
import { encodeRecord, type RecordOrigin } from "./record.ts";

/** A line on its way to where it is kept. */
export interface ChainLine {
  readonly sequence: number;
  readonly bytes: Buffer;
}

/** Where lines are kept: a file, or a store. */
export interface LineSink {
  /** Resolves when all lines are durable. After a rejection it is not called again. */
  append(lines: readonly ChainLine[]): Promise<void>;
}

/** What a {@link ChainWriter} is made of. */
export interface ChainWriterParts {
  readonly origin: RecordOrigin;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly sink: LineSink;
}

interface PendingLine extends ChainLine {
  readonly position: ChainPosition;
  readonly resolve: () => void;
  readonly reject: (error: KeysteadError) => void;
}

/**
 * One writer's hash chain with group commit: everything that is recorded while lines are being made durable goes into the
 * next write together. After a failed write the chain has ended: what is on disk then is unknown, so nothing may follow it.
 */
export class ChainWriter implements AuditTrail {
  readonly #parts: ChainWriterParts;
  #last: ChainPosition;
  #durable: ChainPosition;
  #pending: PendingLine[] = [];
  #draining: Promise<void> | undefined;
  #newest: Promise<unknown> = Promise.resolve();
  #failure: { readonly cause: unknown } | undefined;

  constructor(parts: ChainWriterParts) {
    this.#parts = parts;
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

  async record(event: AuditEvent): Promise<void> {
    if (this.#failure !== undefined) throw unavailable(this.#failure.cause);
    const { origin, clock, random } = this.#parts;
    const { count, head } = this.#last;
    const place = { sequence: count + 1, previous: head, time: clock.now(), id: randomUuid(random) };
    const bytes = encodeRecord(origin, place, event);
    const position = extendChain(this.#last, bytes);
    this.#last = position;
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    this.#pending.push({
      sequence: place.sequence,
      bytes,
      position,
      resolve: () => {
        resolve(undefined);
      },
      reject,
    });
    this.#newest = promise.catch(() => undefined);
    this.#draining ??= this.#drain();
    await promise;
  }

  /** Resolves when everything that was recorded before is durable or refused. */
  async settled(): Promise<void> {
    await this.#newest;
  }

  async #drain(): Promise<void> {
    // What is recorded in the same turn goes into the first write.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        await this.#parts.sink.append(batch);
      } catch (cause) {
        this.#failure = { cause };
        for (const { reject } of [...batch, ...this.#pending]) reject(unavailable(cause));
        this.#pending = [];
        break;
      }
      this.#durable = batch.at(-1)?.position ?? this.#durable;
      for (const { resolve } of batch) resolve();
    }
    this.#draining = undefined;
  }
}

function unavailable(cause: unknown): KeysteadError {
  return new KeysteadError(
    "AUDIT_UNAVAILABLE",
    "the audit record can't be made durable, so nothing is answered; free space or repair the disk, then try again",
    { cause },
  );
}
