import type { LineGroup } from "./line-group.ts";
import { LineMemory, type Piece } from "./line-memory.ts";

/** Bytes of lines that are kept at most; a group counts a little more than its bytes. */
const mostBytes = 8 * 1024 * 1024;
const overhead = 128;

interface Kept {
  readonly group: LineGroup;
  /** Where its lines are. */
  readonly piece: Piece;
}

/**
 * The newest durable lines of this process's own journal, so that shipping need not read and check again what was just written.
 * Bounded: when shipping falls behind, all of them are dropped and it reads the file.
 */
export class KeptLines {
  #groups: Kept[] = [];
  #at = 0;
  #bytes = 0;
  readonly #memory: LineMemory;
  /** The piece that takes the next lines. */
  #piece: Piece | undefined;
  #onLines: ((count: number) => void) | undefined;

  /** @param memory - that lines are copied into */
  constructor(memory = new LineMemory()) {
    this.#memory = memory;
  }

  /** From now on tells of lines that became durable. */
  follow(onLines: (count: number) => void): void {
    this.#onLines = onLines;
  }

  /** Keeps a copy of lines that follow those before. */
  add(lines: LineGroup): void {
    this.#bytes += lines.bytes.length + overhead;
    this.#groups.push(this.#copy(lines));
    if (this.#bytes > mostBytes) this.#forget();
    this.#onLines?.(lines.last - lines.first + 1);
  }

  /** Number of the first line that is kept; infinite when none is. */
  get first(): number {
    return this.#groups[this.#at]?.group.first ?? Number.POSITIVE_INFINITY;
  }

  /** The first groups, of about so many lines and bytes; at least one if any is kept. They stay, and are good until they are dropped. */
  peek(lines: number, bytes: number): readonly LineGroup[] {
    const last = this.first - 1 + lines;
    const groups: LineGroup[] = [];
    for (let length = 0, at = this.#at; length < bytes; at++) {
      const group = this.#groups[at]?.group;
      if (group === undefined || (groups.length > 0 && group.last > last)) break;
      groups.push(group);
      length += group.bytes.length;
    }
    return groups;
  }

  /** Forgets all groups with lines up to a number, whose memory nobody may read any more. */
  dropTo(sequence: number): void {
    for (let kept = this.#groups[this.#at]; kept !== undefined && kept.group.first <= sequence; kept = this.#groups[this.#at]) {
      this.#bytes -= kept.group.bytes.length + overhead;
      this.#at++;
      this.#release(kept.piece);
    }
    if (this.#at === this.#groups.length || (this.#at > 1024 && this.#at * 2 > this.#groups.length)) {
      this.#groups = this.#groups.slice(this.#at);
      this.#at = 0;
    }
  }

  #copy({ first, last, bytes, head }: LineGroup): Kept {
    const piece = this.#pieceFor(bytes.length);
    const copy = piece.bytes.subarray(piece.used, piece.used + bytes.length);
    copy.set(bytes);
    piece.used += bytes.length;
    piece.groups++;
    return { group: { first, last, bytes: copy, head }, piece };
  }

  #pieceFor(length: number): Piece {
    const piece = this.#piece;
    if (piece !== undefined && piece.used + length <= piece.bytes.length) return piece;
    this.#piece = this.#memory.take(length);
    return this.#piece;
  }

  #release(piece: Piece): void {
    piece.groups--;
    if (piece.groups > 0) return;
    if (piece === this.#piece) this.#piece = undefined;
    this.#memory.give(piece);
  }

  /** Somebody may be reading what was peeked at: its memory is not used again. */
  #forget(): void {
    this.#groups = [];
    this.#at = 0;
    this.#bytes = 0;
    this.#piece = undefined;
  }
}
