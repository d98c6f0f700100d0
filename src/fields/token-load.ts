import type { Frequency } from "./value-frequencies.ts";

/** Above this many tokens values hardly meet, and the most frequent one is the fullest token. */
const maxSimulatedBits = 24;

/**
 * Rows of the token that most rows have: the values are thrown into 2^bits tokens by a fixed hash of their rank, which stands
 * for a typical key.
 *
 * @param frequencies - Most frequent first.
 */
export function fullestToken(frequencies: readonly Frequency[], bits: number): number {
  const most = frequencies[0]?.count ?? 0;
  if (bits > maxSimulatedBits) return most;
  const rowsByToken = new Float64Array(2 ** bits);
  let fullest = 0;
  let rank = 0;
  for (const { count, values } of frequencies) {
    for (let value = 0; value < values; value++) {
      const token = scramble(rank++) >>> (32 - bits);
      const rows = (rowsByToken[token] ?? 0) + count;
      rowsByToken[token] = rows;
      fullest = Math.max(fullest, rows);
    }
  }
  return fullest;
}

/** Spreads an integer over 32 bits: the finaliser of MurmurHash3. */
function scramble(integer: number): number {
  let mixed = integer ^ 0x9e3779b9;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
