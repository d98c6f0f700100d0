import { open } from "node:fs/promises";
import { type ChainPosition, extendChain, startChain } from "./hash-chain.ts";
import type { LineGroup } from "./line-group.ts";
import { type AuditRecord, maxLineLength, parseRecord } from "./record.ts";

const chunkLength = 16 * maxLineLength;
const newline = 0x0a;

/** Some whole lines of a journal. */
export interface JournalChunk {
  /** Without their newlines. A line above the limit comes in pieces, none of which is a record. */
  readonly lines: readonly Buffer[];
  /** Where the next chunk begins. */
  readonly next: number;
  /** True when nothing but `torn` bytes follow. */
  readonly atEnd: boolean;
  /** Bytes after the last newline, at the end of the file: a write that was never answered, or is still going on. */
  readonly torn: number;
}

/** Reads whole lines from a byte offset on, at most about 1 MiB. */
export async function readJournal(path: string, offset: number): Promise<JournalChunk> {
  const file = await open(path, "r");
  try {
    const buffer = Buffer.alloc(chunkLength);
    let bytesRead = 0;
    // A read may be short before the end; only an empty one is the end.
    for (let more = 1; more > 0 && bytesRead < chunkLength; bytesRead += more) {
      more = (await file.read(buffer, bytesRead, chunkLength - bytesRead, offset + bytesRead)).bytesRead;
    }
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = buffer.indexOf(newline); end !== -1 && end < bytesRead; end = buffer.indexOf(newline, start)) {
      lines.push(buffer.subarray(start, end));
      start = end + 1;
    }
    const rest = bytesRead - start;
    const atEnd = bytesRead < chunkLength;
    if (rest <= maxLineLength) return { lines, next: offset + start, atEnd, torn: atEnd ? rest : 0 };
    return { lines: [...lines, buffer.subarray(start, bytesRead)], next: offset + bytesRead, atEnd, torn: 0 };
  } finally {
    await file.close();
  }
}

/** A record with its bytes. */
export interface JournalLine {
  readonly record: AuditRecord;
  readonly bytes: Buffer;
}

/** Lines that were read and checked, and where the source stands after them. */
export interface JournalBatch {
  readonly lines: readonly JournalLine[];
  readonly offset: number;
  readonly position: ChainPosition;
  /** True when these are the last whole lines. */
  readonly last: boolean;
  /** Bytes of a torn line behind them. */
  readonly torn: number;
  /** Why the journal can't be read further. */
  readonly problem: string | undefined;
}

/** Reads one writer's journal in order, checking that each line continues its chain. */
export class JournalSource {
  readonly path: string;
  readonly #store: string;
  #offset = 0;
  #position: ChainPosition;

  constructor(path: string, writer: string, storeId: string) {
    this.path = path;
    this.#store = storeId;
    this.#position = startChain(writer);
  }

  /** Position after the last batch that was taken. */
  get position(): ChainPosition {
    return this.#position;
  }

  /** Bytes of all lines up to there. */
  get offset(): number {
    return this.#offset;
  }

  /** Reads the next lines up to sequence `upTo`, and stays where it is until {@link JournalSource.take}. */
  async peek(upTo = Number.POSITIVE_INFINITY): Promise<JournalBatch> {
    const { lines, atEnd, torn } = await readJournal(this.path, this.#offset);
    const good: JournalLine[] = [];
    let position = this.#position;
    let offset = this.#offset;
    for (const bytes of lines) {
      if (position.count >= upTo) return { lines: good, offset, position, last: true, torn: 0, problem: undefined };
      const record = this.#check(bytes, position);
      if (record === undefined) {
        const problem = `record ${String(position.count + 1)} of ${position.writer} does not continue its chain`;
        return { lines: good, offset, position, last: true, torn: 0, problem };
      }
      good.push({ record, bytes });
      position = extendChain(position, bytes);
      offset += bytes.length + 1;
    }
    return { lines: good, offset, position, last: atEnd, torn, problem: undefined };
  }

  /** Moves behind a batch. */
  take({ offset, position }: JournalBatch): void {
    this.#offset = offset;
    this.#position = position;
  }

  /** Moves behind lines that were not read from the file, because this process wrote them. */
  skip(groups: readonly LineGroup[]): void {
    for (const { bytes } of groups) this.#offset += bytes.length;
    const end = groups.at(-1);
    if (end !== undefined) this.#position = { writer: this.#position.writer, count: end.last, head: Buffer.from(end.head, "hex") };
  }

  #check(bytes: Buffer, { writer, count, head }: ChainPosition): AuditRecord | undefined {
    const record = parseRecord(bytes);
    const fits =
      record?.writer === writer &&
      record.store === this.#store &&
      record.sequence === count + 1 &&
      record.previous === head.toString("hex");
    return fits ? record : undefined;
  }
}
