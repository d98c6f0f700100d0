import { readdir, stat } from "node:fs/promises";
import { isMissingFile, journalPath, journalWriter } from "./journal-file.ts";

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

/** How long each journal in a directory is at this moment, in bytes, by writer. */
export async function noteJournals(directory: string): Promise<Map<string, number>> {
  const noted = new Map<string, number>();
  for (const writer of await listJournalWriters(directory)) {
    try {
      noted.set(writer, (await stat(journalPath(directory, writer))).size);
    } catch (error) {
      if (!isMissingFile(error)) throw error;
    }
  }
  return noted;
}
