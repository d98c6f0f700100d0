import { isDeepStrictEqual } from "node:util";
import type { AuditLineRow, AuditStore } from "./audit-store.ts";
import { type DirectoryJournals, readJournals } from "./directory-journals.ts";
import { type ChainFinding, verifyChain } from "./verify-chain.ts";
import { type Attestation, type FindPublicKey, type VerifiedCheckpoints, verifyCheckpoints } from "./verify-checkpoints.ts";
import { checkWitness } from "./witness.ts";

const attempts = 3;
const noJournals: DirectoryJournals = { lines: new Map(), unreadable: [], torn: 0 };

/** What is verified, and against what. */
export interface VerifyAuditOptions {
  readonly store: AuditStore;
  readonly storeId: string;
  /** Finds the public keys of checkpoint signers. */
  readonly findPublicKey: FindPublicKey;
  /**
   * SPKI DER of the only keys that may have signed: an anchor that came from elsewhere than the store. A key for each version
   * that the audit key has had.
   */
  readonly pinnedKeys?: readonly Uint8Array[];
  /** Where every process that writes to the store keeps its journal and the witness. Leave it out when that is not one place. */
  readonly directory?: string;
}

/** Something that is wrong with the audit. */
export interface AuditFinding {
  readonly kind: "record" | "checkpoint" | "journal" | "witness" | "certificate";
  readonly problem: string;
  /** Of a record or journal. */
  readonly writer?: string;
  /** Of a record: its number in the writer's chain. The first that is wrong is named, later ones can't be judged. */
  readonly sequence?: number;
  /** Hash of a checkpoint. */
  readonly checkpoint?: string;
  /** Key and version of a destruction certificate: `pii-email 3-k7f2qd`. */
  readonly certificate?: string;
}

/** What a verification found. */
export interface AuditReport {
  /** Empty = nothing was altered, removed, swapped, inserted or cut off, as far as checkpoints, journals and witness reach. */
  readonly findings: readonly AuditFinding[];
  readonly writers: number;
  /** Records in the store. */
  readonly records: number;
  readonly checkpoints: number;
  /** Records that are only in journals as yet. */
  readonly unshipped: number;
  /** Records that no checkpoint covers as yet: altering the last of them, or adding to them, would not be found. */
  readonly uncovered: number;
  /** Bytes of torn lines at the end of journals, which were never answered. */
  readonly torn: number;
  /** Hash of the newest checkpoint: what to keep elsewhere as an anchor. */
  readonly newest: string | undefined;
}

interface WriterLines {
  readonly writer: string;
  readonly stored: readonly AuditLineRow[];
  readonly journal: readonly Buffer[] | undefined;
  readonly attested: ReadonlyMap<number, Attestation>;
}

/** How many of a writer's records the checkpoints cover. */
function coveredCount(attested: WriterLines["attested"]): number {
  let covered = 0;
  for (const count of attested.keys()) covered = Math.max(covered, count);
  return covered;
}

/** The number that the next stored row should have had, when one is missing or too many. */
function findGap(stored: readonly AuditLineRow[]): ChainFinding | undefined {
  for (const [index, { sequence }] of stored.entries()) {
    const expected = index + 1;
    if (sequence < expected) return { sequence, problem: "was inserted: no chain has this number" };
    if (sequence > expected) return { sequence: expected, problem: "is missing from the store" };
  }
  return undefined;
}

function findDifference(stored: readonly AuditLineRow[], journal: readonly Buffer[]): ChainFinding | undefined {
  const index = journal.findIndex((line, position) => stored[position] !== undefined && !line.equals(stored[position].line));
  return index === -1 ? undefined : { sequence: index + 1, problem: "is another one in the store than in its journal" };
}

/** Records behind the end that checkpoints and journals know of, or before it and gone. */
function findWrongEnd({ stored, journal, attested }: WriterLines, backed: boolean): ChainFinding | undefined {
  const covered = coveredCount(attested);
  if (stored.length < covered) {
    const by = attested.get(covered)?.checkpoint ?? "";
    return { sequence: stored.length + 1, problem: `is missing from the store; checkpoint ${by} covers records up to ${String(covered)}` };
  }
  const known = Math.max(covered, journal?.length ?? 0);
  if (backed && stored.length > known)
    return { sequence: known + 1, problem: "is in the store, and neither a checkpoint nor a journal knows it" };
  return undefined;
}

function verifyWriter(lines: WriterLines, storeId: string, backed: boolean): ChainFinding | undefined {
  const { writer, stored, journal = [], attested } = lines;
  const gap = findGap(stored);
  const whole = gap === undefined ? stored : stored.slice(0, Math.max(0, gap.sequence - 1));
  const all = [...whole.map((row) => row.line), ...(gap === undefined ? journal.slice(stored.length) : [])];
  const problems = [
    gap,
    findDifference(whole, journal),
    findWrongEnd(lines, backed),
    verifyChain({ writer, storeId, lines: all, attested }),
  ];
  // Of findings about the same record, the one that is found first above says more.
  return problems.filter((problem) => problem !== undefined).sort((a, b) => a.sequence - b.sequence)[0];
}

function groupByWriter(rows: readonly AuditLineRow[], journals: DirectoryJournals, checkpoints: VerifiedCheckpoints): WriterLines[] {
  const stored = new Map<string, AuditLineRow[]>();
  for (const row of rows) {
    const known = stored.get(row.writer);
    if (known === undefined) stored.set(row.writer, [row]);
    else known.push(row);
  }
  const writers = new Set([...stored.keys(), ...journals.lines.keys(), ...checkpoints.attested.keys()]);
  return [...writers].sort().map((writer) => ({
    writer,
    stored: stored.get(writer)?.sort((a, b) => a.sequence - b.sequence) ?? [],
    journal: journals.lines.get(writer),
    attested: checkpoints.attested.get(writer) ?? new Map<number, Attestation>(),
  }));
}

async function verifyOnce({ store, storeId, findPublicKey, pinnedKeys, directory }: VerifyAuditOptions): Promise<AuditReport> {
  const witness = directory === undefined ? undefined : await checkWitness(directory, storeId, store);
  // The store first: a line is in its journal before it is in the store, so journals may only be ahead.
  const [rows, checkpointRows] = await store.read(async (tables) => [await tables.auditLines.list(), await tables.checkpoints.list()]);
  const journals = directory === undefined ? noJournals : await readJournals(directory, storeId);
  const checkpoints = await verifyCheckpoints(checkpointRows, findPublicKey, pinnedKeys);
  const writers = groupByWriter(rows, journals, checkpoints);

  const findings: AuditFinding[] = checkpoints.findings.map((finding) => ({ kind: "checkpoint", ...finding }));
  let unshipped = 0;
  let uncovered = 0;
  for (const lines of writers) {
    const finding = verifyWriter(lines, storeId, directory !== undefined);
    if (finding !== undefined) findings.push({ kind: "record", writer: lines.writer, ...finding });
    const known = Math.max(lines.stored.length, lines.journal?.length ?? 0);
    unshipped += known - lines.stored.length;
    uncovered += Math.max(0, known - coveredCount(lines.attested));
  }
  for (const writer of journals.unreadable) findings.push({ kind: "journal", writer, problem: "does not begin with a record any more" });
  if (witness?.problem !== undefined) findings.push({ kind: "witness", problem: witness.problem });
  return {
    findings,
    writers: writers.length,
    records: rows.length,
    checkpoints: checkpointRows.length,
    unshipped,
    uncovered,
    torn: journals.torn,
    newest: checkpoints.newest,
  };
}

/**
 * Verifies the whole audit of a store: every writer's chain, the chain of checkpoints with their signatures, the journals that
 * are not shipped yet, and the witness. Reads only; needs about 1 KiB of memory per record.
 *
 * Processes may go on writing: what looks wrong is looked at again before it is reported.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` when none is pinned or one is no public key, and what the store says
 * @example
 * const { findings } = await verifyAudit({ store, storeId, findPublicKey: () => publicKeyDer, directory: "./audit" });
 */
export async function verifyAudit(options: VerifyAuditOptions): Promise<AuditReport> {
  let report = await verifyOnce(options);
  for (let attempt = 1; attempt < attempts && report.findings.length > 0; attempt++) {
    const again = await verifyOnce(options);
    const same = isDeepStrictEqual(again.findings, report.findings);
    report = again;
    if (same) break;
  }
  return report;
}
