import type { ChainLine } from "./chain-writer.ts";

/** Bytes of lines that are kept at most; a line above counts a little more than its bytes. */
const mostBytes = 8 * 1024 * 1024;
const overhead = 128;

/**
 * The newest durable lines of this process's own journal, so that shipping need not read and check again what was just written.
 * Bounded: when shipping falls behind, all of them are dropped and it reads the file.
 */
export class KeptLines {
  #lines: ChainLine[] = [];
  #at = 0;
  #bytes = 0;
  #onLines: ((count: number) => void) | undefined;

  /** From now on tells of lines that became durable. */
  follow(onLines: (count: number) => void): void {
    this.#onLines = onLines;
  }

  /** Keeps lines that follow those before. */
  add(lines: readonly ChainLine[]): void {
    for (const line of lines) {
      this.#bytes += line.bytes.length + overhead;
      this.#lines.push(line);
    }
    if (this.#bytes > mostBytes) this.#clear();
    this.#onLines?.(lines.length);
  }

  /** Number of the first line that is kept; infinite when none is. */
  get first(): number {
    return this.#lines[this.#at]?.sequence ?? Number.POSITIVE_INFINITY;
  }

  /** The first lines, at most so many and about so many bytes; at least one if any is kept. They stay. */
  peek(most: number, bytes: number): readonly ChainLine[] {
    let end = this.#at;
    for (let length = 0; end < this.#lines.length && end - this.#at < most && length < bytes; end++)
      length += this.#lines[end]?.bytes.length ?? 0;
    return this.#lines.slice(this.#at, end);
  }

  /** Forgets all lines up to a number. */
  dropTo(sequence: number): void {
    for (let line = this.#lines[this.#at]; line !== undefined && line.sequence <= sequence; line = this.#lines[this.#at]) {
      this.#bytes -= line.bytes.length + overhead;
      this.#at++;
    }
    if (this.#at === this.#lines.length) this.#clear();
    else if (this.#at > 1024 && this.#at * 2 > this.#lines.length) {
      this.#lines = this.#lines.slice(this.#at);
      this.#at = 0;
    }
  }

  #clear(): void {
    this.#lines = [];
    this.#at = 0;
    this.#bytes = 0;
  }
}
