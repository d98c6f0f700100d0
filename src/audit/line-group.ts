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
  /** The lines, each with its newline. */
  readonly bytes: Buffer;
  /** Chain value after the last, in hexadecimal. */
  readonly head: string;
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

/** Puts lines together into a group. */
export class LineAssembly {
  #buffer = Buffer.allocUnsafeSlow(64 * 1024);
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

  /** A copy of all lines, which are forgotten. */
  take(): Buffer {
    const lines = Buffer.from(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
    return lines;
  }
}
