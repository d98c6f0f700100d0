import { copyOf, type LineGroup } from "./line-group.ts";

/** Bytes of lines that are kept at most; a group counts a little more than its bytes. */
const mostBytes = 8 * 1024 * 1024;
const overhead = 128;
const pieceBytes = 1024 * 1024;

/** Memory for many groups. */
interface Piece {
  readonly memory: Buffer;
  used: number;
  /** Groups in it that are kept. */
  groups: number;
}

interface Kept {
  readonly group: LineGroup;
  /** Absent for a group that has memory of its own. */
  readonly piece: Piece | undefined;
}

/**
 * The newest durable lines of this process's own journal, so that shipping need not read and check again what was just written.
 * Bounded: when shipping falls behind, all of them are dropped and it reads the file.
 *
 * Lines are copied into memory that is used again: memory of their own, which outlives the youngest garbage, made the collector look through
 * everything twice a second.
 */
export class KeptLines {
  #groups: Kept[] = [];
  #at = 0;
  #bytes = 0;
  #piece: Piece | undefined;
  #spare: Piece[] = [];
  #onLines: ((count: number) => void) | undefined;

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
      if (kept.piece !== undefined) this.#release(kept.piece);
    }
    if (this.#at === this.#groups.length || (this.#at > 1024 && this.#at * 2 > this.#groups.length)) {
      this.#groups = this.#groups.slice(this.#at);
      this.#at = 0;
    }
  }

  #copy(group: LineGroup): Kept {
    const { first, last, bytes, head } = group;
    if (bytes.length > pieceBytes) return { group: copyOf(group), piece: undefined };
    const piece = this.#pieceFor(bytes.length);
    const copy = piece.memory.subarray(piece.used, piece.used + bytes.length);
    copy.set(bytes);
    piece.used += bytes.length;
    piece.groups++;
    return { group: { first, last, bytes: copy, head }, piece };
  }

  #pieceFor(length: number): Piece {
    const piece = this.#piece;
    if (piece !== undefined && piece.used + length <= pieceBytes) return piece;
    const next = this.#spare.pop() ?? { memory: Buffer.allocUnsafeSlow(pieceBytes), used: 0, groups: 0 };
    this.#piece = next;
    return next;
  }

  #release(piece: Piece): void {
    piece.groups--;
    if (piece.groups > 0) return;
    piece.used = 0;
    if (piece !== this.#piece) this.#spare.push(piece);
  }

  /** Somebody may be reading what was peeked at: its memory is left to them. */
  #forget(): void {
    this.#groups = [];
    this.#at = 0;
    this.#bytes = 0;
    this.#piece = undefined;
    this.#spare = [];
  }
}
