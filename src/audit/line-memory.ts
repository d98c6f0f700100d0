/** Bytes of a piece. */
export const pieceBytes = 1024 * 1024;

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

  /** An empty piece. */
  take(): Piece {
    return this.#spare.pop() ?? { bytes: Buffer.allocUnsafeSlow(pieceBytes), used: 0, groups: 0 };
  }

  /** Takes back a piece that nobody reads any more. */
  give(piece: Piece): void {
    piece.used = 0;
    piece.groups = 0;
    if (this.#spare.length < mostSpare) this.#spare.push(piece);
  }
}
