import { createHash } from "node:crypto";
import type { Clock } from "../../src/clock.ts";
import type { RandomSource } from "../../src/crypto/random.ts";

// Where golden files take what is otherwise new each time.

/** A clock that stands at 2027-01-01T00:00:00Z. */
export const goldenClock: Clock = { now: () => Date.UTC(2027, 0, 1), monotonic: () => 0, wait: () => Promise.resolve() };

/** The first bytes of SHAKE-256 of a label. */
export function shake(label: string, length: number): Buffer {
  return length === 0 ? Buffer.alloc(0) : createHash("shake256", { outputLength: length }).update(label).digest();
}

/** Bytes that are the same in each run: SHAKE-256 of the label and the number of the request. */
export function goldenRandom(label: string): RandomSource {
  let requests = 0;
  return {
    bytes: (length) => {
      requests += 1;
      return shake(`keystead golden v1 ${label} ${requests}`, length);
    },
  };
}

/** Hands out these bytes, in order. */
export function replay(bytes: Uint8Array): RandomSource {
  let offset = 0;
  return {
    bytes: (length) => {
      const taken = Buffer.from(bytes.subarray(offset, offset + length));
      if (taken.length < length) throw new Error("more random bytes were asked for than a golden file has");
      offset += length;
      return taken;
    },
  };
}
