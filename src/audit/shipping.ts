import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { AuditStore, AuditTables } from "./audit-store.ts";
import type { JournalLine, JournalSource } from "./journal-source.ts";

/** How far a journal was shipped. */
export interface Shipped {
  /** Lines that this call put into the store. */
  readonly added: number;
  /** True when the store holds every whole line of the journal. */
  readonly whole: boolean;
  /** Bytes of a torn last line: a write that was never answered. */
  readonly torn: number;
}

function toRow({ record, bytes }: JournalLine): { writer: string; sequence: number; line: Uint8Array } {
  // A copy: the bytes are a window on a whole chunk of the file.
  return { writer: record.writer, sequence: record.sequence, line: Uint8Array.from(bytes) };
}

/** Adds the lines that the store doesn't have. Lines arrive in order, so a store that has the last of a batch has all. */
async function addMissing(tables: AuditTables, lines: readonly JournalLine[]): Promise<number> {
  const last = lines.at(-1);
  if (last !== undefined && (await isStored(tables, last))) return 0;
  let added = 0;
  for (const line of lines) {
    if (await isStored(tables, line)) continue;
    await tables.auditLines.insert(toRow(line));
    added++;
  }
  return added;
}

async function isStored(tables: AuditTables, { record: { writer, sequence }, bytes }: JournalLine): Promise<boolean> {
  const stored = await tables.auditLines.get({ writer, sequence });
  if (stored === undefined) return false;
  if (bytes.equals(stored.line)) return true;
  throw new KeysteadError(
    "AUDIT_TAMPERED",
    `the store holds another record ${String(sequence)} of ${writer} than its journal; keep both and run: keystead audit verify`,
  );
}

/** Puts a batch into the store, in one transaction. */
async function addBatch(store: AuditStore, lines: readonly JournalLine[], fresh: boolean): Promise<number> {
  if (lines.length === 0) return 0;
  if (fresh) {
    try {
      await store.transaction(async (tables) => {
        for (const line of lines) await tables.auditLines.insert(toRow(line));
      });
      return lines.length;
    } catch (error) {
      // Somebody shipped some of them already: the careful way says which.
      if (!isKeysteadError(error, "NAME_TAKEN")) throw error;
    }
  }
  return store.transaction((tables) => addMissing(tables, lines));
}

/**
 * Ships the next lines of a journal to the store, up to sequence `upTo`; shipping what is there already changes nothing.
 *
 * @param fresh True for the own journal, whose lines the store can't have yet: saves looking for each
 * @throws KeysteadError `AUDIT_TAMPERED` when the store holds another line in the same place or the journal's own chain is
 * broken, and what the store says
 */
export async function shipJournal(store: AuditStore, source: JournalSource, upTo?: number, fresh = false): Promise<Shipped> {
  let added = 0;
  for (;;) {
    const batch = await source.peek(upTo);
    added += await addBatch(store, batch.lines, fresh);
    source.take(batch);
    if (batch.problem !== undefined) {
      throw new KeysteadError(
        "AUDIT_TAMPERED",
        `the journal ${source.path} is damaged: ${batch.problem}; keep it and run: keystead audit verify`,
      );
    }
    if (batch.last) return { added, whole: upTo === undefined, torn: batch.torn };
  }
}
