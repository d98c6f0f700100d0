import { isKeysteadError, KeysteadError } from "../errors.ts";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { AuditLineRow, AuditStore, AuditTables, LineBlock } from "./audit-store.ts";
import type { JournalSource } from "./journal-source.ts";
import type { KeptLines } from "./kept-lines.ts";
import { rowsOf } from "./line-group.ts";

const newline = Buffer.from("\n");

/** How far a journal was shipped. */
export interface Shipped {
  /** Lines that this call put into the store. */
  readonly added: number;
  /** True when the store holds every whole line of the journal. */
  readonly whole: boolean;
  /** Bytes of a torn last line: a write that was never answered. */
  readonly torn: number;
}

/**
 * Lines and bytes of one transaction, about. A database in this process keeps everything else from running for as long as one lasts:
 * these take a few milliseconds.
 */
const batchLimits = { lines: 512, bytes: 512 * 1024 } as const;

/** Adds the lines that the store doesn't have. Lines arrive in order, so a store that has the last of a batch has all. */
async function addMissing(tables: AuditTables, rows: readonly AuditLineRow[]): Promise<number> {
  const last = rows.at(-1);
  if (last !== undefined && (await isStored(tables, last))) return 0;
  let added = 0;
  for (const row of rows) {
    if (await isStored(tables, row)) continue;
    await tables.auditLines.insert(row);
    added++;
  }
  return added;
}

async function isStored(tables: AuditTables, { writer, sequence, line }: AuditLineRow): Promise<boolean> {
  const stored = await tables.auditLines.get({ writer, sequence });
  if (stored === undefined) return false;
  if (Buffer.from(line).equals(stored.line)) return true;
  throw new KeysteadError(
    "AUDIT_TAMPERED",
    `the store holds another record ${String(sequence)} of ${writer} than its journal; keep both and run: keystead audit verify`,
  );
}

/** Puts a batch into the store, in one transaction, and lets others have their turn. */
async function addBatch(store: AuditStore, lines: LineBlock): Promise<number> {
  try {
    if (store.appendLines === undefined) await store.transaction((tables) => tables.auditLines.insertAll(rowsOf(lines)));
    else await store.appendLines(lines);
    return lines.last - lines.first + 1;
  } catch (error) {
    // Somebody shipped some of them already: the careful way says which.
    if (!isKeysteadError(error, "NAME_TAKEN")) throw error;
  } finally {
    await nextTurn();
  }
  return store.transaction((tables) => addMissing(tables, rowsOf(lines)));
}

/** Puts rows that follow each other together into blocks of {@link batchLimits}. */
function* blocks(rows: readonly AuditLineRow[]): Generator<LineBlock> {
  for (let from = 0; from < rows.length;) {
    let to = from;
    for (let bytes = 0; to < rows.length && to - from < batchLimits.lines && bytes < batchLimits.bytes; to++)
      bytes += rows[to]?.line.length ?? 0;
    const part = rows.slice(from, to);
    const { writer = "", sequence: first = 0 } = part[0] ?? {};
    yield { writer, first, last: first + part.length - 1, pieces: [Buffer.concat(part.flatMap(({ line }) => [line, newline]))] };
    from = to;
  }
}

/** True for lines that are not too many for one transaction. */
function fits({ first, last, pieces }: LineBlock): boolean {
  return last - first < batchLimits.lines && pieces.reduce((sum, piece) => sum + piece.length, 0) <= batchLimits.bytes;
}

/**
 * Ships the next lines of a journal to the store, up to sequence `upTo`; shipping what is there already changes nothing.
 *
 * @param archived records that the store had and that were archived: they are not put back
 * @throws KeysteadError `AUDIT_TAMPERED` when the store holds another line in the same place or the journal's own chain is
 * broken, and what the store says
 */
export async function shipJournal(store: AuditStore, source: JournalSource, upTo?: number, archived = 0): Promise<Shipped> {
  let added = 0;
  for (;;) {
    const batch = await source.peek(upTo);
    const rows = batch.lines
      .map(({ record: { writer, sequence }, bytes }) => ({ writer, sequence, line: bytes }))
      .filter(({ sequence }) => sequence > archived);
    for (const block of blocks(rows)) added += await addBatch(store, block);
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

/**
 * Ships the lines that this process has just written and still keeps, and moves the source behind them. Those before, which it keeps
 * no more, are read from the file.
 * @throws as {@link shipJournal}
 */
export async function shipKept(store: AuditStore, source: JournalSource, kept: KeptLines, upTo: number): Promise<number> {
  const { writer } = source.position;
  let added = 0;
  while (source.position.count < upTo) {
    const next = source.position.count + 1;
    if (kept.first < next) kept.dropTo(next - 1);
    if (kept.first > next) {
      added += (await shipJournal(store, source, Math.min(upTo, kept.first - 1))).added;
      continue;
    }
    const groups = kept.peek(batchLimits.lines, batchLimits.bytes);
    const last = groups.at(-1)?.last ?? upTo;
    const lines = { writer, first: next, last, pieces: groups.map(({ bytes }) => bytes) };
    // What was recorded at once is one group, however much it is.
    for (const block of fits(lines) ? [lines] : blocks(rowsOf(lines))) added += await addBatch(store, block);
    source.skip(groups);
  }
  kept.dropTo(source.position.count);
  return added;
}
