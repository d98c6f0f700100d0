import type { AuditLineRow } from "./audit-store.ts";
import type { JournalReader } from "./journal-reader.ts";
import { type ChainPosition, startChain } from "./hash-chain.ts";
import { parseRecord } from "./record.ts";
import { ChainCheck, type ChainFinding } from "./verify-chain.ts";
import type { Attestation } from "./verify-checkpoints.ts";

/** One writer's records, wherever they are, and what is known about them. */
export interface WriterRecords {
  readonly writer: string;
  readonly storeId: string;
  /** Its rows in the store, by sequence. */
  readonly rows: AsyncIterable<AuditLineRow>;
  readonly journal: JournalReader | undefined;
  /** How many records the checkpoints cover. */
  readonly covered: number;
  /** What good checkpoints say, by number of records. Without it a finding may name the wrong one of two records. */
  readonly attested: ReadonlyMap<number, Attestation>;
  /** Records up to there were archived: the rows go on behind them, or before them where they were not all removed yet. */
  readonly archived?: ChainPosition | undefined;
  /** True when records that no checkpoint covers must be in a journal. */
  readonly backed: boolean;
}

/** What was seen of a writer. */
export interface WriterReport {
  readonly finding: ChainFinding | undefined;
  /** Rows in the store. */
  readonly rows: number;
  /** Number of the last of them, or of the last archived record. */
  readonly stored: number;
}

/** The number that the next row should have had, when one is missing or too many. */
function findGap(sequence: number, expected: number): ChainFinding | undefined {
  if (sequence < expected) return { sequence, problem: "was inserted: no chain has this number" };
  if (sequence > expected) return { sequence: expected, problem: "is missing from the store" };
  return undefined;
}

/** Records behind the end that checkpoints and journals know of, or before it and gone. */
function findWrongEnd({ journal, covered, attested, backed }: WriterRecords, stored: number): ChainFinding | undefined {
  if (stored < covered) {
    const by = attested.get(covered)?.checkpoint ?? "";
    return { sequence: stored + 1, problem: `is missing from the store; checkpoint ${by} covers records up to ${String(covered)}` };
  }
  const known = Math.max(covered, journal?.count ?? 0);
  if (backed && stored > known) return { sequence: known + 1, problem: "is in the store, and neither a checkpoint nor a journal knows it" };
  return undefined;
}

/** Where the rows begin that are there: behind what was archived, unless some of that was not removed yet. */
function startOf(first: AuditLineRow | undefined, archived: ChainPosition): ChainPosition {
  if (first === undefined || first.sequence > archived.count || first.sequence < 1) return archived;
  const previous = parseRecord(first.line)?.previous;
  return previous === undefined || first.sequence === 1
    ? startChain(archived.writer)
    : { writer: archived.writer, count: first.sequence - 1, head: Buffer.from(previous, "hex") };
}

/** What is known about a writer, with what its archived records say about those that are left. */
function withArchived(records: WriterRecords): ReadonlyMap<number, Attestation> {
  const { attested, archived } = records;
  if (archived === undefined || attested.has(archived.count)) return attested;
  return new Map(attested).set(archived.count, { head: archived.head, checkpoint: "of the archive" });
}

/** Checks one writer's records, row by row and line by line. Takes all of `rows`, and all of the journal. */
export async function verifyWriter(records: WriterRecords): Promise<WriterReport> {
  const { rows, journal, archived = startChain(records.writer) } = records;
  let chain: ChainCheck | undefined;
  let count = 0;
  let stored = archived.count;
  let gap: ChainFinding | undefined;
  let difference: ChainFinding | undefined;
  const begin = async (start: ChainPosition): Promise<ChainCheck> => {
    stored = start.count;
    for (let skipped = 0; skipped < start.count; skipped++) await journal?.next();
    return new ChainCheck({ ...records, attested: withArchived(records), start });
  };
  for await (const row of rows) {
    const { sequence, line } = row;
    chain ??= await begin(startOf(row, archived));
    count++;
    stored++;
    gap ??= findGap(sequence, stored);
    if (gap !== undefined) continue;
    const written = await journal?.next();
    if (written?.equals(line) === false) difference ??= { sequence, problem: "is another one in the store than in its journal" };
    chain.push(line);
  }
  chain ??= await begin(archived);
  for (let line = await journal?.next(); line !== undefined; line = await journal?.next()) {
    if (gap === undefined) chain.push(line);
  }
  // Of findings about the same record, the one that is found first here says more.
  const problems = [gap, difference, findWrongEnd(records, stored), chain.end()].filter((problem) => problem !== undefined);
  return { finding: problems.sort((a, b) => a.sequence - b.sequence)[0], rows: count, stored };
}
