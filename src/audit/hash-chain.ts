import { hash } from "node:crypto";

const tag = Buffer.from("keystead audit v1");
const headLength = 32;

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

/** A chain in the hands of its writer, who adds a line in each call that is served: nothing is allocated for it but its hash. */
export class GrowingChain {
  readonly #writer: string;
  /** What is hashed: the tag, the chain value before a line, the line. */
  readonly #input: Buffer;
  #count = 0;
  #head: string;

  /** @param longest - bytes of the longest line */
  constructor(writer: string, longest: number) {
    this.#writer = writer;
    this.#input = Buffer.concat([tag, startChain(writer).head], tag.length + headLength + longest);
    this.#head = this.#input.toString("hex", tag.length, tag.length + headLength);
  }

  /** Lines so far. */
  get count(): number {
    return this.#count;
  }

  /** Chain value after the last, in hexadecimal. */
  get head(): string {
    return this.#head;
  }

  get position(): ChainPosition {
    return { writer: this.#writer, count: this.#count, head: Buffer.from(this.#head, "hex") };
  }

  /** Adds a line, as {@link extendChain} does. @returns its bytes, which the next one overwrites */
  add(line: string): Uint8Array {
    const start = tag.length + headLength;
    const end = start + this.#input.write(line, start);
    this.#head = hash("sha256", this.#input.subarray(0, end), "hex");
    this.#input.write(this.#head, tag.length, "hex");
    this.#count++;
    return this.#input.subarray(start, end);
  }
}

/** The position one line further. */
export function extendChain({ writer, count, head }: ChainPosition, line: Uint8Array): ChainPosition {
  return { writer, count: count + 1, head: chainHash(head, line) };
}
