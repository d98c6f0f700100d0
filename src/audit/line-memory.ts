/** Bytes of a piece, but for one that a single group needs larger. */
const usualBytes = 1024 * 1024;

const mostSpare = 8;

/** Memory for lines of many groups, one behind the other. */
export interface Piece {
  readonly bytes: Buffer;
  /** Bytes from the start that hold lines. */
  used: number;
  /** Groups in it that somebody still needs. */
  groups: number;
}

/**
 * Pieces of memory that are used again, by one journal after another. Memory of their own for lines, which outlives the youngest garbage, made
 * the collector look through everything twice a second.
 */
export class LineMemory {
  readonly #spare: Piece[] = [];

  /** An empty piece. @param length - bytes that it has at least */
  take(length: number): Piece {
    const spare = length <= usualBytes ? this.#spare.pop() : undefined;
    return spare ?? { bytes: Buffer.allocUnsafeSlow(Math.max(length, usualBytes)), used: 0, groups: 0 };
  }

  /** Takes back a piece that nobody reads any more. */
  give(piece: Piece): void {
    piece.used = 0;
    if (piece.bytes.length === usualBytes && this.#spare.length < mostSpare) this.#spare.push(piece);
  }
}
