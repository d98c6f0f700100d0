import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import { ClockAge } from "./clock-age.ts";

/** Where random bytes come from. */
export interface RandomSource {
  /** Fresh uniform bytes that nobody else gets and that share no memory with others a caller gets. */
  bytes(length: number): Buffer;
}

/** The generator of the operating system, by OpenSSL. */
export const systemRandom: RandomSource = { bytes: (length) => randomBytes(length) };

const poolBytes = 4_096;
const poolMilliseconds = 1_000;
const longestPooledRequest = 24;

/**
 * Random bytes for nonces, drawn from the source in blocks: 40 times cheaper than one by one.
 *
 * A block is dropped after a second and when a clock jumps, so that a restored snapshot of the machine does not hand out
 * the same bytes again. Bytes leave the block when they are handed out. Requests longer than a nonce (24 bytes), which may
 * be keys, go straight to the source. Not for sharing between threads.
 */
export class RandomPool implements RandomSource {
  readonly #source: RandomSource;
  readonly #clock: Clock;
  #block: Buffer = Buffer.alloc(0);
  #age: ClockAge;
  #offset = 0;

  constructor(source: RandomSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
    this.#age = new ClockAge(clock);
  }

  /** As {@link bytes}, in hexadecimal digits: no buffer is made for an id. @param length - in bytes */
  hex(length: number): string {
    if (length > longestPooledRequest) return this.#source.bytes(length).toString("hex");
    this.#prepare(length);
    const start = this.#offset;
    this.#offset += length;
    const digits = this.#block.toString("hex", start, this.#offset);
    for (let at = start; at < this.#offset; at++) this.#block[at] = 0;
    return digits;
  }

  bytes(length: number): Buffer {
    if (length > longestPooledRequest) return this.#source.bytes(length);
    this.#prepare(length);
    const block = this.#block;
    const taken = Buffer.allocUnsafe(length);
    for (let index = 0; index < length; index++) {
      taken[index] = block[this.#offset] ?? 0;
      block[this.#offset++] = 0;
    }
    return taken;
  }

  #prepare(length: number): void {
    if (this.#offset + length > this.#block.length || this.#age.milliseconds() > poolMilliseconds) this.#refill();
  }

  #refill(): void {
    this.#block.fill(0);
    this.#age = new ClockAge(this.#clock);
    this.#block = this.#source.bytes(poolBytes);
    this.#offset = 0;
  }
}
