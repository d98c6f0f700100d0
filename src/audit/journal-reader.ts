import { isMissingFile } from "./journal-file.ts";
import { readJournal } from "./journal-source.ts";
import { parseRecord } from "./record.ts";

/** Reads the whole lines of a journal one by one, while its process may write to it and remove it. Keeps about 1 MiB. */
export class JournalReader {
  readonly #path: string;
  readonly #noted: number;
  #lines: readonly Buffer[] = [];
  #at = 0;
  #offset = 0;
  #taken = 0;
  #count = 0;
  #notedCount = 0;
  #torn = 0;
  #ended = false;
  #missing = false;

  /** @param noted how long the file was at a time that matters, in bytes */
  constructor(path: string, noted: number) {
    this.#path = path;
    this.#noted = noted;
  }

  /** Lines that were taken. */
  get count(): number {
    return this.#count;
  }

  /** Those of them that were in the file when it was as long as was noted. */
  get notedCount(): number {
    return this.#notedCount;
  }

  /** Bytes behind the last whole line. */
  get torn(): number {
    return this.#torn;
  }

  /** True when the file is not there, or went while it was read. */
  get missing(): boolean {
    return this.#missing;
  }

  /** The next line, which is not taken. Undefined at the end. */
  async peek(): Promise<Buffer | undefined> {
    if (this.#at === this.#lines.length) await this.#readMore();
    return this.#lines[this.#at];
  }

  /** The next line. Undefined at the end, and from then on. */
  async next(): Promise<Buffer | undefined> {
    const line = await this.peek();
    if (line === undefined) {
      this.#ended = true;
      return undefined;
    }
    this.#at++;
    this.#count++;
    this.#taken += line.length + 1;
    if (this.#taken <= this.#noted) this.#notedCount = this.#count;
    return line;
  }

  async #readMore(): Promise<void> {
    if (this.#ended) return;
    try {
      const { lines, next, torn } = await readJournal(this.#path, this.#offset);
      this.#lines = lines;
      this.#at = 0;
      this.#offset = next;
      this.#torn = torn;
    } catch (error) {
      if (!isMissingFile(error)) throw error;
      this.#lines = [];
      this.#at = 0;
      this.#torn = 0;
      this.#missing = true;
      this.#ended = true;
    }
  }
}

/**
 * Opens a journal for reading. Undefined when it is another store's, has no whole line, or is gone; `unreadable` when it does
 * not begin with a record.
 */
export async function openJournal(path: string, storeId: string, noted = 0): Promise<JournalReader | "unreadable" | undefined> {
  const reader = new JournalReader(path, noted);
  const first = await reader.peek();
  if (first === undefined) return undefined;
  const record = parseRecord(first);
  if (record === undefined) return "unreadable";
  return record.store === storeId ? reader : undefined;
}
