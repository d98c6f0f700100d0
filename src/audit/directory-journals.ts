import { readdir } from "node:fs/promises";
import { isMissingFile, journalPath, journalWriter } from "./journal-file.ts";
import { readJournal } from "./journal-source.ts";
import { parseRecord } from "./record.ts";

/** The journals of one store in a directory, as they are at this moment, unchecked. */
export interface DirectoryJournals {
  /** Whole lines by writer. */
  readonly lines: ReadonlyMap<string, readonly Buffer[]>;
  /** Writers whose journal does not begin with a record: it can't be said whose it is. */
  readonly unreadable: readonly string[];
  /** Bytes of torn last lines: writes that were never answered, or are still going on. */
  readonly torn: number;
}

/** The writers that have a journal in a directory, sorted; none when there is no such directory. */
export async function listJournalWriters(directory: string): Promise<string[]> {
  try {
    const names = await readdir(directory);
    return names
      .map((name) => journalWriter(name))
      .filter((writer) => writer !== undefined)
      .sort();
  } catch (error) {
    if (isMissingFile(error)) return [];
    throw error;
  }
}

async function readWhole(path: string): Promise<{ readonly lines: readonly Buffer[]; readonly torn: number }> {
  const lines: Buffer[] = [];
  let offset = 0;
  for (;;) {
    const chunk = await readJournal(path, offset);
    lines.push(...chunk.lines);
    if (chunk.atEnd) return { lines, torn: chunk.torn };
    offset = chunk.next;
  }
}

/** Reads all journals of a store. */
export async function readJournals(directory: string, storeId: string): Promise<DirectoryJournals> {
  const found = new Map<string, readonly Buffer[]>();
  const unreadable: string[] = [];
  let tornBytes = 0;
  for (const writer of await listJournalWriters(directory)) {
    try {
      const { lines, torn } = await readWhole(journalPath(directory, writer));
      const [first] = lines;
      const record = first === undefined ? undefined : parseRecord(first);
      if (first !== undefined && record === undefined) unreadable.push(writer);
      if (record?.store !== storeId) continue;
      found.set(writer, lines);
      tornBytes += torn;
    } catch (error) {
      if (!isMissingFile(error)) throw error;
    }
  }
  return { lines: found, unreadable, torn: tornBytes };
}
