import { type ChainPosition, startChain } from "../hash-chain.ts";
import { maxLineLength } from "../record.ts";
import { uuidPattern } from "../record-check.ts";
import { formatLine, writerLine } from "./lines.ts";

const writerStart = Buffer.from('{"type":"writer","writer":"');
const uuidLength = 36;

/** What a torn line may be the beginning of. */
interface Torn {
  /** The number of a record; undefined: a `writer` line. */
  readonly sequence: number | undefined;
  /** It proves itself only by what the writer begins anew. */
  readonly needsProof: boolean;
  /** The writer has begun anew behind it. */
  isResumed: boolean;
}

/**
 * A line of a sink's file that can't be read, and who may have left it: a writer whose next line begins so. It is known what that is up to the
 * time of a record. Such a writer was either killed, and then nothing more comes of it, or its disk was full: then its next line is a `writer` line,
 * and the line itself comes again, whole, and begins as it does here. Whatever else it may be was altered.
 */
export class TornLine {
  /** File and number of the line. */
  readonly where: string;
  readonly #bytes: Buffer;
  readonly #by = new Map<string, Torn>();
  /** It ends before it names its writer, of whom nothing else need be there. */
  readonly #isNameless: boolean;

  /** @param positions where chains stand that the files have so far */
  constructor(bytes: Buffer, where: string, positions: Iterable<ChainPosition>) {
    this.where = where;
    this.#bytes = bytes;
    const mayBeTorn = bytes.length < maxLineLength && !isWhole(bytes);
    this.#isNameless = mayBeTorn && isNameless(bytes);
    if (!mayBeTorn) return;
    for (const position of positions) this.#consider(position);
    const named = writerNamedIn(bytes);
    if (named !== undefined && !this.#by.has(named)) this.#mayBegin(startChain(named));
  }

  /** False when no writer has left it: it was altered. */
  get isExplained(): boolean {
    return this.#isNameless || [...this.#by.values()].some(({ needsProof }) => !needsProof);
  }

  /** False when nobody can have left it whatever comes. */
  get isPossible(): boolean {
    return this.#isNameless || this.#by.size > 0;
  }

  /** Learns of the next `writer` line. @returns true when it is the line that was torn */
  meetWriter(writer: string, line: Buffer): boolean {
    if (line.subarray(0, this.#bytes.length).equals(this.#bytes)) return true;
    const torn = this.#by.get(writer);
    if (torn?.sequence === undefined) this.#by.delete(writer);
    else torn.isResumed = true;
    return false;
  }

  /** Learns of the next record. @returns true when it is the line that was torn */
  meetRecord(writer: string, sequence: number, line: Buffer): boolean {
    const torn = this.#by.get(writer);
    if (torn === undefined || (torn.isResumed && torn.sequence !== sequence)) return false;
    if (torn.isResumed && line.subarray(0, this.#bytes.length).equals(this.#bytes)) return true;
    this.#by.delete(writer);
    return false;
  }

  #consider(position: ChainPosition): void {
    const { writer, count, head } = position;
    const record = Buffer.from(`{"sequence":${String(count + 1)},"previous":"${head.toString("hex")}","time":"`);
    const length = Math.min(record.length, this.#bytes.length);
    if (record.subarray(0, length).equals(this.#bytes.subarray(0, length)))
      this.#by.set(writer, { sequence: count + 1, needsProof: false, isResumed: false });
    else if (writerNamedIn(this.#bytes) === writer) this.#mayBegin(position);
  }

  /** A `writer` line of another place than this is believed only when it comes again: a write that began there was given up. */
  #mayBegin(position: ChainPosition): void {
    const needsProof = !formatLine(writerLine(position)).subarray(0, this.#bytes.length).equals(this.#bytes);
    this.#by.set(position.writer, { sequence: undefined, needsProof, isResumed: false });
  }
}

/** True for what is whole, and so was not torn. */
function isWhole(bytes: Buffer): boolean {
  try {
    JSON.parse(bytes.toString("utf8"));
    return true;
  } catch {
    return false;
  }
}

function isNameless(bytes: Buffer): boolean {
  const length = Math.min(writerStart.length, bytes.length);
  if (!writerStart.subarray(0, length).equals(bytes.subarray(0, length))) return false;
  const name = bytes.toString("latin1", length);
  return name.length < uuidLength && /^[-0-9a-f]*$/.test(name);
}

/** The writer that the beginning of a `writer` line names; undefined when it is none, or does not name it whole. */
function writerNamedIn(bytes: Buffer): string | undefined {
  if (!bytes.subarray(0, writerStart.length).equals(writerStart)) return undefined;
  const name = bytes.toString("latin1", writerStart.length, writerStart.length + uuidLength);
  return uuidPattern.test(name) ? name : undefined;
}
