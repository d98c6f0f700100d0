import type { AuditLineRow, LineBlock } from "./audit-store.ts";

const newline = 0x0a;

/**
 * Lines of one chain that follow each other, in one piece of memory: thousands of lines that wait for the store would keep the collector of
 * garbage busier than everything else does.
 */
export interface LineGroup {
  /** Number of the first line. */
  readonly first: number;
  /** Number of the last line. */
  readonly last: number;
  /** The lines, each with its newline. Whoever gives the group says for how long they are good. */
  readonly bytes: Buffer;
  /** Chain value after the last, in hexadecimal. */
  readonly head: string;
}

/** The same group in memory of its own. */
export function copyOf({ first, last, bytes, head }: LineGroup): LineGroup {
  return { first, last, bytes: Buffer.from(bytes), head };
}

/** Lines as rows of a store. @throws TypeError for a piece without a newline at its end */
export function rowsOf({ writer, first, pieces }: Omit<LineBlock, "last">): AuditLineRow[] {
  const rows: AuditLineRow[] = [];
  for (const piece of pieces)
    for (let start = 0, end = 0; start < piece.length; start = end + 1) {
      end = piece.indexOf(newline, start);
      if (end === -1) throw new TypeError("a piece of lines has a newline at its end");
      rows.push({ writer, sequence: first + rows.length, line: piece.subarray(start, end) });
    }
  return rows;
}

const usualBytes = 64 * 1024;

/**
 * Puts lines together into a group. The memory of a group is used again: memory of its own for each would live until the collector of garbage
 * looks through everything, and make it do so often.
 */
export class LineAssembly {
  #buffer = Buffer.allocUnsafeSlow(usualBytes);
  #other = Buffer.allocUnsafeSlow(usualBytes);
  #length = 0;

  add(line: Uint8Array): void {
    const end = this.#length + line.length + 1;
    if (end > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    this.#buffer.set(line, this.#length);
    this.#buffer[end - 1] = newline;
    this.#length = end;
  }

  /** All lines, which are forgotten. They are good until the next time. */
  take(): Buffer {
    const taken = this.#buffer;
    const lines = taken.subarray(0, this.#length);
    this.#buffer = this.#other;
    // What one large group needed is not held for ever.
    this.#other = taken.length <= 16 * usualBytes ? taken : Buffer.allocUnsafeSlow(usualBytes);
    this.#length = 0;
    return lines;
  }
}
