import { shake256 } from "@noble/hashes/sha3.js";
import type { RandomSource } from "../../../src/crypto/random.ts";

/** Hands out the given bytes, in order, and fails when asked for more. */
export function scriptedRandom(...parts: Uint8Array[]): RandomSource {
  let rest = Buffer.concat(parts);
  return {
    bytes: (length) => {
      if (length > rest.length) throw new Error("scripted random bytes are used up");
      const taken = Buffer.from(rest.subarray(0, length));
      rest = rest.subarray(length);
      return taken;
    },
  };
}

/** Unlimited bytes that are the same in each run. Counts what it handed out. */
export class SeededRandom implements RandomSource {
  readonly #stream: { xof(length: number): Uint8Array };
  /** Lengths asked for, in order. */
  readonly requests: number[] = [];

  constructor(seed: string) {
    this.#stream = shake256.create({}).update(Buffer.from(seed));
  }

  bytes(length: number): Buffer {
    this.requests.push(length);
    return Buffer.from(this.#stream.xof(length));
  }
}
