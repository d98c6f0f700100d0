import type { KeyObject } from "node:crypto";
import type { AuditStore, AuditTables, CheckpointRow } from "./audit-store.ts";
import { type CheckpointBody, checkpointHash, parseCheckpoint } from "./checkpoint.ts";
import { chainHash, type ChainPosition, startChain } from "./hash-chain.ts";
import { allCheckpoints, pageThrough } from "./pages.ts";
import { parseRecord } from "./record.ts";
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
  readonly count: number;
  /** Hash of the newest; undefined when there is none that is good. */
  readonly newest: string | undefined;
  /** How many records of each writer they cover. */
  readonly covered: ReadonlyMap<string, number>;
  /** Writers whose records in the store are not those that were signed. */
  readonly suspects: ReadonlySet<string>;
}

/** What good checkpoints say about some writers. */
export interface Attestations {
  /** Where two of them contradict each other. */
  readonly findings: readonly CheckpointFinding[];
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

/** Reads a checkpoint and checks it against itself and its signature; text says what is wrong. */
export type CheckRow = (row: CheckpointRow) => Promise<CheckpointBody | string>;

/**
 * Checks rows against themselves and the key that signed them.
 * @throws KeysteadError `INVALID_ARGUMENT` when none is pinned, or one is no public key
 */
export function createRowCheck(findPublicKey: FindPublicKey, pinnedKeys: readonly Uint8Array[] | undefined): CheckRow {
  const pinned = pinnedKeys && readPinnedKeys(pinnedKeys);
  const findKey = keyCache(findPublicKey);
  return async (row) => checkRow(row, await findKey(row.signer), pinned);
}

type Positions = ReadonlyMap<string, ChainPosition>;

/** A checkpoint with what the store holds around it. */
interface SeenCheckpoint {
  readonly row: CheckpointRow;
  /** False when the checkpoint that it names as its previous one is not there. */
  readonly attached: boolean;
  readonly followers: readonly CheckpointRow[];
  /** Writers whose records are not what it says. */
  readonly suspects: readonly string[];
}

/** True when the chain of a writer stands at a position, going by what its record says about the one before. */
async function standsAt({ auditLines }: AuditTables, { writer, count, head }: ChainPosition, archived: Positions): Promise<boolean> {
  if (count <= (archived.get(writer)?.count ?? 0)) return true;
  if (count === 0) return startChain(writer).head.equals(head);
  const row = await auditLines.get({ writer, sequence: count });
  const record = row === undefined ? undefined : parseRecord(row.line);
  return row !== undefined && record !== undefined && chainHash(Buffer.from(record.previous, "hex"), row.line).equals(head);
}

async function lookAround(tables: AuditTables, row: CheckpointRow, archived: Positions): Promise<SeenCheckpoint> {
  const { hash, previous, body } = row;
  const attached = previous === "" || (await tables.checkpoints.get({ hash: previous })) !== undefined;
  const followers = await tables.checkpoints.list({ previous: hash });
  const suspects: string[] = [];
  for (const position of parseCheckpoint(body)?.positions ?? []) {
    if (!(await standsAt(tables, position, archived))) suspects.push(position.writer);
  }
  return { row, attached, followers, suspects };
}

function seenCheckpoints(store: AuditStore, archived: Positions): AsyncGenerator<SeenCheckpoint> {
  return pageThrough(
    ({ row: { hash } }: SeenCheckpoint) => ({ hash }),
    async (page) =>
      store.read(async (tables) => {
        const seen: SeenCheckpoint[] = [];
        for (const row of await tables.checkpoints.list({}, page)) seen.push(await lookAround(tables, row, archived));
        return seen;
      }),
    100,
  );
}

/** Good checkpoints that follow the same one: there may be one at most. */
async function findForks(followers: readonly CheckpointRow[], check: CheckRow): Promise<CheckpointFinding[]> {
  if (followers.length < 2) return [];
  const good: string[] = [];
  for (const row of followers) if (typeof (await check(row)) !== "string") good.push(row.hash);
  const [first, ...rivals] = good.sort();
  return rivals.map((checkpoint) => ({ checkpoint, problem: `follows the same checkpoint as ${String(first)}` }));
}

/**
 * Checks every checkpoint, the chain that they make, and that the records they signed are in the store. Needs memory for the
 * writers, not for the checkpoints.
 */
export async function verifyCheckpoints(store: AuditStore, check: CheckRow, archived: Positions = new Map()): Promise<VerifiedCheckpoints> {
  const findings: CheckpointFinding[] = [];
  const loose: { readonly previous: string; readonly hash: string }[] = [];
  const forks = await findForks(await store.read((tables) => tables.checkpoints.list({ previous: "" })), check);
  const misnamed = new Set<string>();
  const covered = new Map<string, number>();
  const suspects = new Set<string>();
  let count = 0;
  let newest: string | undefined;
  for await (const { row, attached, followers, suspects: unlike } of seenCheckpoints(store, archived)) {
    count++;
    forks.push(...(await findForks(followers, check)));
    const body = await check(row);
    if (typeof body === "string") {
      findings.push({ checkpoint: row.hash, problem: body });
      misnamed.add(checkpointHash(row.body));
      continue;
    }
    if (!attached) loose.push({ previous: row.previous, hash: row.hash });
    // The chain may grow meanwhile: the end that is seen last is the newest.
    if (followers.length === 0) newest = row.hash;
    for (const { writer, count: records } of body.positions) covered.set(writer, Math.max(records, covered.get(writer) ?? 0));
    for (const writer of unlike) suspects.add(writer);
  }
  const missing = loose.filter(({ previous }) => !misnamed.has(previous));
  const gaps = missing.map(({ previous, hash }) => ({ checkpoint: previous, problem: `is missing; ${hash} follows it` }));
  return { findings: [...findings, ...forks, ...gaps], count, newest, covered, suspects };
}

/** Reads what good checkpoints say about some writers. */
export async function readAttestations(store: AuditStore, writers: ReadonlySet<string>, check: CheckRow): Promise<Attestations> {
  const findings: CheckpointFinding[] = [];
  const attested = new Map<string, Map<number, Attestation>>();
  for await (const row of allCheckpoints(store)) {
    const positions = parseCheckpoint(row.body)?.positions.filter(({ writer }) => writers.has(writer)) ?? [];
    if (positions.length === 0 || typeof (await check(row)) === "string") continue;
    const checkpoint = row.hash;
    for (const { writer, count, head } of positions) {
      const known = attested.get(writer) ?? new Map<number, Attestation>();
      const other = known.get(count);
      if (other !== undefined && !other.head.equals(head)) {
        findings.push({ checkpoint, problem: `says something else than ${other.checkpoint} about record ${String(count)} of ${writer}` });
      }
      attested.set(writer, known.set(count, other ?? { head, checkpoint }));
    }
  }
  return { findings, attested };
}
