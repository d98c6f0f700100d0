import type { KeyObject } from "node:crypto";
import type { CheckpointRow } from "./audit-store.ts";
import { type CheckpointBody, checkpointHash, parseCheckpoint } from "./checkpoint.ts";
import { readPinnedKeys, readPublicKey, verifySignature } from "./signature.ts";

/** The public key (SPKI DER) of a signer; undefined when nobody knows it. */
export type FindPublicKey = (signer: string) => Promise<Uint8Array | undefined> | Uint8Array | undefined;

/** Something that is wrong with a checkpoint. */
export interface CheckpointFinding {
  /** Hash of the checkpoint, hexadecimal. */
  readonly checkpoint: string;
  readonly problem: string;
}

/** A chain value that a good checkpoint signed. */
export interface Attestation {
  readonly head: Buffer;
  readonly checkpoint: string;
}

/** What the checkpoints of a store say, as far as they are good. */
export interface VerifiedCheckpoints {
  readonly findings: readonly CheckpointFinding[];
  /** Hash of the newest; undefined when there is none. */
  readonly newest: string | undefined;
  /** By writer and number of records. */
  readonly attested: ReadonlyMap<string, ReadonlyMap<number, Attestation>>;
}

/** Reads a row and checks it against itself and its signature. Text = what is wrong. */
function checkRow(row: CheckpointRow, key: KeyObject | undefined, pinned: readonly KeyObject[] | undefined): CheckpointBody | string {
  const body = parseCheckpoint(row.body);
  if (body === undefined) return "is not a checkpoint any more";
  if (key === undefined) return `is signed by ${row.signer}, a key that nobody knows`;
  if (!verifySignature(key, row.body, row.signature)) return "has a signature that does not verify";
  if (pinned?.some((trusted) => trusted.equals(key)) === false) return "is not signed by a pinned key";
  if (checkpointHash(row.body) !== row.hash) return "is stored under another hash";
  if (body.previous !== row.previous) return "is stored behind another checkpoint than it names";
  if (body.generation !== row.generation) return "is stored with another generation than it names";
  return body;
}

/** Finds each signer's key once. */
function keyCache(findPublicKey: FindPublicKey): (signer: string) => Promise<KeyObject | undefined> {
  const found = new Map<string, Promise<KeyObject | undefined>>();
  const find = async (signer: string): Promise<KeyObject | undefined> => {
    const der = await findPublicKey(signer);
    return der === undefined ? undefined : readPublicKey(der);
  };
  return (signer) => {
    const key = found.get(signer) ?? find(signer);
    found.set(signer, key);
    return key;
  };
}

/** Names what is missing in the chain or beside it, and finds its end. */
function followChain(good: ReadonlyMap<string, CheckpointBody>, stored: ReadonlySet<string>): [CheckpointFinding[], string | undefined] {
  const findings: CheckpointFinding[] = [];
  const next = new Map<string, string>();
  for (const [hash, { previous }] of good) {
    const rival = next.get(previous);
    if (rival !== undefined) findings.push({ checkpoint: hash, problem: `follows the same checkpoint as ${rival}` });
    else next.set(previous, hash);
    if (previous !== "" && !stored.has(previous)) findings.push({ checkpoint: previous, problem: `is missing; ${hash} follows it` });
  }
  // One end, unless something is wrong, and then findings say so.
  return [findings, [...good.keys()].findLast((hash) => !next.has(hash))];
}

/**
 * Checks every checkpoint and the chain that they make.
 * @throws KeysteadError `INVALID_ARGUMENT` when none is pinned, or one is no public key
 */
export async function verifyCheckpoints(
  rows: readonly CheckpointRow[],
  findPublicKey: FindPublicKey,
  pinnedKeys: readonly Uint8Array[] | undefined,
): Promise<VerifiedCheckpoints> {
  const pinned = pinnedKeys && readPinnedKeys(pinnedKeys);
  const findKey = keyCache(findPublicKey);
  const findings: CheckpointFinding[] = [];
  const good = new Map<string, CheckpointBody>();
  const stored = new Set<string>();
  for (const row of rows) {
    const hash = checkpointHash(row.body);
    stored.add(row.hash).add(hash);
    const body = checkRow(row, await findKey(row.signer), pinned);
    if (typeof body === "string") findings.push({ checkpoint: row.hash, problem: body });
    else good.set(hash, body);
  }
  const [chainFindings, newest] = followChain(good, stored);
  const attested = new Map<string, Map<number, Attestation>>();
  for (const [checkpoint, { positions }] of good) {
    for (const { writer, count, head } of positions) {
      const known = attested.get(writer) ?? new Map<number, Attestation>();
      const other = known.get(count);
      if (other !== undefined && !other.head.equals(head)) {
        findings.push({ checkpoint, problem: `says something else than ${other.checkpoint} about record ${String(count)} of ${writer}` });
      }
      attested.set(writer, known.set(count, other ?? { head, checkpoint }));
    }
  }
  return { findings: [...findings, ...chainFindings], newest, attested };
}
