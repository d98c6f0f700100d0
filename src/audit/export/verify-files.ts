import { extendChain, type ChainPosition } from "../hash-chain.ts";
import { type AuditRecord, parseRecord } from "../record.ts";
import type { AuditFinding } from "../verify.ts";
import { ChainCheck } from "../verify-chain.ts";
import { parseLine } from "./lines.ts";
import { splitLines } from "./split-lines.ts";
import { TornLine } from "./torn-line.ts";

/** What a verification of a sink's files found. */
export interface FilesVerification {
  /** Empty = every chain is unbroken from where the first file has it. */
  readonly findings: readonly AuditFinding[];
  readonly writers: number;
  /** Those that were written again, as a write of them had failed, count once. */
  readonly records: number;
  /** Lines that were not written whole, by a process that was killed or on a full disk. */
  readonly torn: number;
}

/** Records that a writer gives again, as it can't know which of a write that failed are there. */
interface Repetition {
  /** Where that write began. */
  readonly start: ChainPosition;
  at: ChainPosition;
  /** Chain values that it must come to, by number of records: it is the same, byte for byte, only then. */
  readonly heads: Map<number, Buffer>;
}

interface OpenChain {
  readonly chain: ChainCheck;
  /** Behind the last record. */
  position: ChainPosition;
  repetition: Repetition | undefined;
}

class FilesCheck {
  readonly #findings: AuditFinding[] = [];
  readonly #chains = new Map<string, OpenChain>();
  #store: string | undefined;
  #records = 0;
  #torn = 0;
  /** Torn lines that may come again whole. */
  #open: TornLine[] = [];

  push(bytes: Buffer, where: string): void {
    const line = parseLine(bytes);
    const record = line === undefined ? parseRecord(bytes) : undefined;
    if (line?.type === "writer") {
      this.#settle((torn) => torn.meetWriter(line.writer, bytes));
      this.#pushWriter({ writer: line.writer, count: line.count, head: Buffer.from(line.head, "hex") });
    } else if (record !== undefined) {
      this.#settle((torn) => torn.meetRecord(record.writer, record.sequence, bytes));
      this.#pushRecord(record, bytes);
    } else {
      const positions = [...this.#chains.values()].map(({ position, repetition }) => repetition?.at ?? position);
      this.#open.push(new TornLine(bytes, where, positions));
      this.#settle(() => false);
    }
  }

  end(): FilesVerification {
    for (const torn of this.#open) {
      if (torn.isExplained) this.#torn++;
      else this.#findUnreadable(torn);
    }
    for (const [writer, open] of this.#chains) {
      this.#endChain(writer, open);
      // What nothing is compared with may be anything.
      if (open.repetition !== undefined)
        this.#findBad(
          writer,
          nextOf(open.repetition.at),
          `is missing where records are repeated from ${String(nextOf(open.repetition.start))} on`,
        );
    }
    return { findings: this.#findings, writers: this.#chains.size, records: this.#records, torn: this.#torn };
  }

  /** Takes away torn lines about which it is known now what they are. */
  #settle(isThere: (torn: TornLine) => boolean): void {
    this.#open = this.#open.filter((torn) => {
      if (isThere(torn)) {
        this.#torn++;
        return false;
      }
      if (!torn.isPossible) this.#findUnreadable(torn);
      return torn.isPossible;
    });
  }

  #pushWriter(start: ChainPosition): void {
    const { writer, count } = start;
    const known = this.#chains.get(writer);
    if (known === undefined) {
      this.#begin(start);
      return;
    }
    const { position, repetition } = known;
    if (repetition === undefined && isSame(position, start)) return;
    if (repetition === undefined && count < position.count) {
      known.repetition = { start, at: start, heads: new Map([[position.count, position.head]]) };
    } else if (repetition !== undefined && isSame(repetition.start, start)) {
      // It failed again, and did not come as far.
      repetition.heads.set(repetition.at.count, repetition.at.head);
      repetition.at = start;
    } else {
      this.#beginAnew(
        start,
        known,
        Math.min(position.count, count) + 1,
        `is missing or too many: a file goes on behind record ${String(count)}`,
      );
    }
  }

  #pushRecord(record: AuditRecord, bytes: Buffer): void {
    this.#store ??= record.store;
    const { writer, sequence, previous } = record;
    const from = { writer, count: sequence - 1, head: Buffer.from(previous, "hex") };
    let known = this.#chains.get(writer);
    if (known?.repetition !== undefined) {
      if (isSame(known.repetition.at, from)) {
        this.#pushRepeated(known, known.repetition, bytes);
        return;
      }
      known = this.#beginAnew(
        from,
        known,
        nextOf(known.repetition.at),
        "does not continue what is repeated before it, or is missing there",
      );
    }
    if (known === undefined) {
      known = this.#begin(from);
      this.#findBad(writer, sequence, "comes without the line that says what its chain goes on from");
    }
    this.#records++;
    known.chain.push(bytes);
    known.position = extendChain(known.position, bytes);
  }

  #pushRepeated(known: OpenChain, repetition: Repetition, bytes: Buffer): void {
    repetition.at = extendChain(repetition.at, bytes);
    const { writer, count, head } = repetition.at;
    const isDifferent = repetition.heads.get(count)?.equals(head) === false;
    if (isDifferent) this.#findBad(writer, count, "is repeated, and is not the same: it, or records before it, were altered");
    if (isDifferent || count === known.position.count) known.repetition = undefined;
  }

  #begin(start: ChainPosition): OpenChain {
    const chain = new ChainCheck({ writer: start.writer, storeId: this.#store, attested: new Map(), start });
    const open = { chain, position: start, repetition: undefined };
    this.#chains.set(start.writer, open);
    return open;
  }

  #beginAnew(start: ChainPosition, known: OpenChain, sequence: number, problem: string): OpenChain {
    this.#endChain(start.writer, known);
    this.#findBad(start.writer, sequence, problem);
    return this.#begin(start);
  }

  #endChain(writer: string, { chain }: OpenChain): void {
    const finding = chain.end();
    if (finding !== undefined) this.#findings.push({ kind: "record", writer, ...finding });
  }

  #findBad(writer: string, sequence: number, problem: string): void {
    this.#findings.push({ kind: "record", writer, sequence, problem });
  }

  #findUnreadable({ where }: TornLine): void {
    this.#findings.push({ kind: "export", problem: `${where} is no record any more, or was cut off` });
  }
}

function isSame(one: ChainPosition, other: ChainPosition): boolean {
  return one.count === other.count && one.head.equals(other.head);
}

/** Number of the next record. */
function nextOf({ count }: ChainPosition): number {
  return count + 1;
}

/**
 * Verifies the files of an audit sink, oldest first: that every writer's records follow each other, within the files and from each to
 * the next. They carry no signatures: what was cut from the end of the newest file shows only against the store or an export.
 *
 * What a full disk or a killed process leaves is no finding: a line that was not written whole, which a writer that can go on begins anew, and
 * records that are written again from where the write began. They must be the same and come as far as those before; else nothing says which
 * are right. A torn line that never comes again must begin as the next line of its chain, of which nothing else may come: it says as little as
 * a chain that was cut there.
 *
 * @throws what the files throw
 * @example
 * const { findings } = await verifyAuditFiles(["audit.jsonl.000001", "audit.jsonl"].map((name) => ({ name, bytes: createReadStream(name) })));
 */
export async function verifyAuditFiles(
  files: Iterable<{ readonly name: string; readonly bytes: AsyncIterable<Uint8Array> }>,
): Promise<FilesVerification> {
  const check = new FilesCheck();
  for (const { name, bytes } of files) {
    let number = 0;
    for await (const line of splitLines(bytes)) check.push(line.bytes, `${name} line ${String(++number)}`);
  }
  return check.end();
}
