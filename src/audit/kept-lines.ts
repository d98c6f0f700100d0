import type { LineGroup } from "./line-group.ts";

/** Bytes of lines that are kept at most; a group counts a little more than its bytes. */
const mostBytes = 8 * 1024 * 1024;
const overhead = 128;

/**
 * The newest durable lines of this process's own journal, so that shipping need not read and check again what was just written.
 * Bounded: when shipping falls behind, all of them are dropped and it reads the file.
 */
export class KeptLines {
  #groups: LineGroup[] = [];
  #at = 0;
  #bytes = 0;
  #onLines: ((count: number) => void) | undefined;

  /** From now on tells of lines that became durable. */
  follow(onLines: (count: number) => void): void {
    this.#onLines = onLines;
  }

  /** Keeps lines that follow those before. */
  add(lines: LineGroup): void {
    this.#bytes += lines.bytes.length + overhead;
    this.#groups.push(lines);
    if (this.#bytes > mostBytes) this.#clear();
    this.#onLines?.(lines.last - lines.first + 1);
  }

  /** Number of the first line that is kept; infinite when none is. */
  get first(): number {
    return this.#groups[this.#at]?.first ?? Number.POSITIVE_INFINITY;
  }

  /** The first groups, of about so many lines and bytes; at least one if any is kept. They stay. */
  peek(lines: number, bytes: number): readonly LineGroup[] {
    const last = this.first - 1 + lines;
    let end = this.#at;
    for (let length = 0; length < bytes; end++) {
      const group = this.#groups[end];
      if (group === undefined || (end > this.#at && group.last > last)) break;
      length += group.bytes.length;
    }
    return this.#groups.slice(this.#at, end);
  }

  /** Forgets all groups with lines up to a number. */
  dropTo(sequence: number): void {
    for (let group = this.#groups[this.#at]; group !== undefined && group.first <= sequence; group = this.#groups[this.#at]) {
      this.#bytes -= group.bytes.length + overhead;
      this.#at++;
    }
    if (this.#at === this.#groups.length) this.#clear();
    else if (this.#at > 1024 && this.#at * 2 > this.#groups.length) {
      this.#groups = this.#groups.slice(this.#at);
      this.#at = 0;
    }
  }

  #clear(): void {
    this.#groups = [];
    this.#at = 0;
    this.#bytes = 0;
  }
}
