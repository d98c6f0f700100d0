import { isDeepStrictEqual } from "node:util";
import type { AuditStore } from "./audit-store.ts";
import { positionsAt } from "./export/positions.ts";
import type { ChainPosition } from "./hash-chain.ts";
import { noteJournals } from "./directory-journals.ts";
import { journalPath } from "./journal-file.ts";
import { JournalReader, openJournal } from "./journal-reader.ts";
import { linesOf } from "./pages.ts";
import { surveyWriters } from "./survey-writers.ts";
import {
  type Attestation,
  type CheckRow,
  createRowCheck,
  type FindPublicKey,
  readAttestations,
  verifyCheckpoints,
} from "./verify-checkpoints.ts";
import { verifyWriter } from "./verify-writer.ts";
import { checkWitness } from "./witness.ts";

const attempts = 3;

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
  /** Hash of the checkpoint up to which records were archived: they are not in the store any more. */
  readonly archived?: string;
  /** Ships what this process recorded. It is asked to once the verification has begun, so that none of it counts as unshipped. */
  readonly flush?: () => Promise<void>;
}

/** Something that is wrong with the audit. */
export interface AuditFinding {
  readonly kind: "record" | "checkpoint" | "journal" | "witness" | "certificate" | "export";
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
  /**
   * Records that were in journals when the verification began and that are not in the store. Those of this process are shipped
   * first: what is left was recorded by other processes in the last second, or by some that were killed, or can't be shipped.
   */
  readonly unshipped: number;
  /**
   * Records that were there when the verification began and that no checkpoint covers: altering the last of them, or adding to
   * them, would not be found.
   */
  readonly uncovered: number;
  /** Bytes of torn lines at the end of journals, which were never answered. */
  readonly torn: number;
  /** Records before those of the store that were archived. */
  readonly archived: number;
  /** Hash of the newest checkpoint: what to keep elsewhere as an anchor. */
  readonly newest: string | undefined;
}

type Examination = Omit<VerifyAuditOptions, "archived"> & { readonly archived: ReadonlyMap<string, ChainPosition> };

/** Looks at some writers closely: what is wrong with their records, and with what checkpoints say about them. */
async function examine(
  writers: ReadonlySet<string>,
  { store, storeId, directory, archived }: Examination,
  check: CheckRow,
): Promise<AuditFinding[]> {
  if (writers.size === 0) return [];
  const { findings, attested } = await readAttestations(store, writers, check);
  const found: AuditFinding[] = findings.map((finding) => ({ kind: "checkpoint", ...finding }));
  for (const writer of [...writers].sort()) {
    const said = attested.get(writer) ?? new Map<number, Attestation>();
    const covered = [...said.keys()].reduce((most, count) => Math.max(most, count), 0);
    const journal = directory === undefined ? undefined : await openJournal(journalPath(directory, writer), storeId);
    const { finding } = await verifyWriter({
      writer,
      storeId,
      rows: linesOf(store, writer),
      journal: journal instanceof JournalReader ? journal : undefined,
      covered,
      attested: said,
      backed: directory !== undefined,
      archived: archived.get(writer),
    });
    if (finding !== undefined) found.push({ kind: "record", writer, ...finding });
  }
  return found;
}

/** Processes go on writing: what looks wrong is looked at again before it is reported. */
async function examineAgain(suspects: ReadonlySet<string>, options: Examination, check: CheckRow): Promise<AuditFinding[]> {
  let found = await examine(suspects, options, check);
  for (let attempt = 1; attempt < attempts && found.length > 0; attempt++) {
    const again = await examine(suspects, options, check);
    const same = isDeepStrictEqual(again, found);
    found = again;
    if (same) break;
  }
  return found;
}

/**
 * Verifies the whole audit of a store: every writer's chain, the chain of checkpoints with their signatures, the journals that
 * are not shipped yet, and the witness. Reads only, page by page: needs memory for the names of the writers, not for their records.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` when none is pinned or one is no public key, and what the store says
 * @example
 * const { findings } = await verifyAudit({ store, storeId, findPublicKey: () => publicKeyDer, directory: "./audit" });
 */
export async function verifyAudit(options: VerifyAuditOptions): Promise<AuditReport> {
  const { store, storeId, findPublicKey, pinnedKeys, directory, flush } = options;
  const check = createRowCheck(findPublicKey, pinnedKeys);
  const noted = directory === undefined ? undefined : await noteJournals(directory);
  await flush?.();
  const witness = directory === undefined ? undefined : await checkWitness(directory, storeId, store);
  const archived = options.archived === undefined ? new Map<string, ChainPosition>() : await positionsAt(store, options.archived);
  const checkpoints = await verifyCheckpoints(store, check, archived);
  const { unreadable, suspects, ...seen } = await surveyWriters({
    store,
    storeId,
    directory,
    noted,
    archived,
    covered: checkpoints.covered,
  });
  const found = await examineAgain(new Set([...checkpoints.suspects, ...suspects]), { ...options, archived }, check);
  const findings: AuditFinding[] = [
    ...checkpoints.findings.map((finding) => ({ kind: "checkpoint" as const, ...finding })),
    ...found,
    ...unreadable.map((writer) => ({ kind: "journal" as const, writer, problem: "does not begin with a record any more" })),
  ];
  if (witness?.problem !== undefined) findings.push({ kind: "witness", problem: witness.problem });
  const gone = [...archived.values()].reduce((sum, { count }) => sum + count, 0);
  return { findings, ...seen, archived: gone, checkpoints: checkpoints.count, newest: checkpoints.newest };
}
