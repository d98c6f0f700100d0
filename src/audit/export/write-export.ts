import { KeysteadError } from "../../errors.ts";
import type { AuditStore, CheckpointRow } from "../audit-store.ts";
import { type ChainPosition, extendChain, startChain } from "../hash-chain.ts";
import { linesFrom } from "../pages.ts";
import { parseRecord } from "../record.ts";
import { type Signer, signVerified } from "../signature.ts";
import {
  encodeStatement,
  type ExportHeader,
  formatLine,
  preambleHash,
  type Section,
  sectionsPerStatement,
  signedLine,
  writerLine,
} from "./lines.ts";
import { checkpointsBackwards, positionsAt } from "./positions.ts";

/** What is exported. */
export interface ExportParts {
  readonly store: AuditStore;
  readonly storeId: string;
  /** Signs what the export holds. */
  readonly signer: Signer;
  /** Public keys (SPKI DER) of all that signed checkpoints. */
  readonly signers: readonly { readonly signer: string; readonly publicKey: Uint8Array }[];
  /** Milliseconds since 1970. */
  readonly takenAt: number;
  /** Hash of the newest checkpoint, with which the export ends: records behind it are left for the next one. */
  readonly closing: string;
  /** Only records that this checkpoint covers, too. */
  readonly upTo?: string;
  /** Records that this checkpoint covers are not in the store any more. */
  readonly archived?: string;
  /** Of each writer only records from its first one of this instant on, and before its first one of that. */
  readonly since?: number;
  readonly until?: number;
}

/** What was exported. */
export interface ExportSummary {
  readonly writers: number;
  readonly records: number;
  readonly checkpoints: number;
  /** Hash of the closing checkpoint: what to keep elsewhere as an anchor. */
  readonly closing: string;
}

/** Takes the bytes of an export; what it returns is waited for. */
export type WriteChunk = (chunk: Buffer) => Promise<void> | void;

const chunkLength = 64 * 1024;

/** Collects lines into chunks. */
class LineWriter {
  readonly #write: WriteChunk;
  #lines: Buffer[] = [];
  #length = 0;

  constructor(write: WriteChunk) {
    this.#write = write;
  }

  async line(bytes: Uint8Array): Promise<void> {
    this.#lines.push(Buffer.from(bytes), newline);
    this.#length += bytes.length + 1;
    if (this.#length >= chunkLength) await this.flush();
  }

  async flush(): Promise<void> {
    const chunk = Buffer.concat(this.#lines);
    this.#lines = [];
    this.#length = 0;
    if (chunk.length > 0) await this.#write(chunk);
  }
}

const newline = Buffer.from("\n");

/** Hashes of the checkpoints of an export, oldest first: those of its time and the one before, or all. */
async function chainOf({ store, closing, since, archived }: ExportParts): Promise<string[]> {
  const hashes: string[] = [];
  for await (const { hash, takenAt } of checkpointsBackwards(store, closing)) {
    hashes.push(hash);
    if (hash === archived || (since !== undefined && takenAt < since)) break;
  }
  if (hashes.length === 0)
    throw new KeysteadError("AUDIT_UNAVAILABLE", "no checkpoint covers the audit yet; record something, then export again");
  return hashes.reverse();
}

class ExportWriter {
  readonly #parts: ExportParts;
  readonly #out: LineWriter;
  readonly #counts = { writers: 0, records: 0, checkpoints: 0 };
  #preamble: Buffer = Buffer.alloc(0);
  #sections: Section[] = [];
  #statements = 0;

  constructor(parts: ExportParts, write: WriteChunk) {
    this.#parts = parts;
    this.#out = new LineWriter(write);
  }

  async write(): Promise<ExportSummary> {
    const { store, closing, upTo = closing, archived } = this.#parts;
    await this.#writePreamble();
    for (const hash of await chainOf(this.#parts)) await this.#writeCheckpoint(hash);
    const from = archived === undefined ? new Map<string, ChainPosition>() : await positionsAt(store, archived);
    const to = await positionsAt(store, upTo);
    for (const [writer, end] of [...to].sort(([one], [other]) => (one < other ? -1 : 1))) {
      await this.#writeSection(from.get(writer) ?? startChain(writer), end);
      if (this.#sections.length === sectionsPerStatement) await this.#writeStatement(false);
    }
    await this.#writeStatement(true);
    await this.#out.flush();
    return { ...this.#counts, closing };
  }

  async #writePreamble(): Promise<void> {
    const { storeId, takenAt, since, until, signers } = this.#parts;
    const header: ExportHeader = {
      type: "export",
      version: 1,
      store: storeId,
      takenAt: new Date(takenAt).toISOString(),
      ...(since !== undefined && { since: new Date(since).toISOString() }),
      ...(until !== undefined && { until: new Date(until).toISOString() }),
    };
    const keys = signers.map(({ signer, publicKey }) =>
      formatLine({ type: "signer", signer, publicKey: Buffer.from(publicKey).toString("base64url") }),
    );
    const lines = [formatLine(header), ...keys];
    this.#preamble = preambleHash(lines);
    for (const line of lines) await this.#out.line(line);
  }

  async #writeCheckpoint(hash: string): Promise<void> {
    const row: CheckpointRow | undefined = await this.#parts.store.read((tables) => tables.checkpoints.get({ hash }));
    if (row === undefined) return;
    this.#counts.checkpoints++;
    await this.#out.line(formatLine(signedLine("checkpoint", row)));
  }

  /**
   * Writes the records of one writer that are wanted; nothing when there are none. What is signed is how far the checkpoints cover them, not how
   * far there are some: those that somebody took from the store are missing in the export, too, and named when it is verified.
   */
  async #writeSection(from: ChainPosition, end: ChainPosition): Promise<void> {
    const { store, since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY } = this.#parts;
    let position = from;
    let start: ChainPosition | undefined;
    let isWhole = true;
    for await (const { sequence, line } of linesFrom(store, end.writer, from.count)) {
      if (sequence > end.count) break;
      const time = Date.parse(parseRecord(line)?.time ?? "");
      if (time >= until) {
        isWhole = false;
        break;
      }
      if (start === undefined && !(time < since)) {
        start = position;
        await this.#out.line(formatLine(writerLine(position)));
      }
      if (start !== undefined) {
        this.#counts.records++;
        await this.#out.line(line);
      }
      position = extendChain(position, line);
    }
    if (start !== undefined) this.#counts.writers++;
    const to = isWhole ? end : position;
    if (start !== undefined || position.count < to.count) this.#sections.push({ from: start ?? position, to });
  }

  async #writeStatement(last: boolean): Promise<void> {
    const { signer, closing } = this.#parts;
    const { checkpoints } = this.#counts;
    const number = ++this.#statements;
    const body = encodeStatement({ preamble: this.#preamble, closing, checkpoints, number, last, sections: this.#sections });
    this.#sections = [];
    await this.#out.line(formatLine(signedLine("statement", { body, signature: signVerified(signer, body), signer: signer.keyId })));
  }
}

/**
 * Writes an export: JSON lines that can be verified without the store. Reads page by page; needs memory for the writers and for a hash
 * of each checkpoint.
 * @throws KeysteadError `AUDIT_UNAVAILABLE` when no checkpoint covers anything yet, and what the store and `write` throw
 */
export async function writeExport(parts: ExportParts, write: WriteChunk): Promise<ExportSummary> {
  return await new ExportWriter(parts, write).write();
}
