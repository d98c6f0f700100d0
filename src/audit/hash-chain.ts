import { hash } from "node:crypto";

const tag = Buffer.from("keystead audit v1");

/** Where a writer's chain stands: after `count` records its value is `head`. */
export interface ChainPosition {
  readonly writer: string;
  readonly count: number;
  readonly head: Buffer;
}

/** The position before the first record: h₀ = SHA-256(writer id). */
export function startChain(writer: string): ChainPosition {
  return { writer, count: 0, head: hash("sha256", writer, "buffer") };
}

/** The chain value after a line: hₙ = SHA-256("keystead audit v1" ‖ hₙ₋₁ ‖ line). The line goes in without its newline. */
export function chainHash(previous: Uint8Array, line: Uint8Array): Buffer {
  // By way of text: Node makes a buffer of a hash in twice the time.
  return Buffer.from(hash("sha256", Buffer.concat([tag, previous, line], tag.length + previous.length + line.length), "hex"), "hex");
}

/** The position one line further. */
export function extendChain({ writer, count, head }: ChainPosition, line: Uint8Array): ChainPosition {
  return { writer, count: count + 1, head: chainHash(head, line) };
}
