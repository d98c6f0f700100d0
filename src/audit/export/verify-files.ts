import { extendChain, type ChainPosition } from "../hash-chain.ts";
import { parseRecord } from "../record.ts";
import type { AuditFinding } from "../verify.ts";
import { ChainCheck } from "../verify-chain.ts";
import { parseLine } from "./lines.ts";
import { splitLines } from "./split-lines.ts";

/** What a verification of a sink's files found. */
export interface FilesVerification {
  /** Empty = every chain is unbroken from where the first file has it. */
  readonly findings: readonly AuditFinding[];
  readonly writers: number;
  readonly records: number;
  /** Lines that were not written whole and are there again whole. */
  readonly torn: number;
}

interface OpenChain {
  readonly chain: ChainCheck;
  position: ChainPosition;
}

class FilesCheck {
  readonly #findings: AuditFinding[] = [];
  readonly #chains = new Map<string, OpenChain>();
  #store: string | undefined;
  #records = 0;
  #torn = 0;
  #fragment: { readonly bytes: Buffer; readonly where: string } | undefined;

  push(bytes: Buffer, where: string): void {
    this.#settleFragment(bytes);
    const line = parseLine(bytes);
    if (line?.type === "writer") this.#pushWriter({ writer: line.writer, count: line.count, head: Buffer.from(line.head, "hex") });
    else if (parseRecord(bytes) !== undefined) this.#pushRecord(bytes);
    else this.#fragment = { bytes, where };
  }

  endFile(): void {
    this.#settleFragment(undefined);
  }

  end(): FilesVerification {
    for (const [writer, open] of this.#chains) this.#endChain(writer, open);
    return { findings: this.#findings, writers: this.#chains.size, records: this.#records, torn: this.#torn };
  }

  #endChain(writer: string, { chain }: OpenChain): void {
    const finding = chain.end();
    if (finding !== undefined) this.#findings.push({ kind: "record", writer, ...finding });
  }

  /** A line that is no record was torn when the next one begins as it does; otherwise it was altered. */
  #settleFragment(next: Buffer | undefined): void {
    const fragment = this.#fragment;
    this.#fragment = undefined;
    if (fragment === undefined) return;
    if (next?.subarray(0, fragment.bytes.length).equals(fragment.bytes) === true) this.#torn++;
    else this.#findings.push({ kind: "export", problem: `${fragment.where} is no record any more, or was cut off` });
  }

  #pushWriter(start: ChainPosition): void {
    const { writer, count } = start;
    const known = this.#chains.get(writer);
    if (known === undefined) {
      this.#chains.set(writer, { chain: this.#newChain(start), position: start });
      return;
    }
    if (known.position.count === count && known.position.head.equals(start.head)) return;
    this.#endChain(writer, known);
    const sequence = Math.min(known.position.count, count) + 1;
    this.#findings.push({
      kind: "record",
      writer,
      sequence,
      problem: `is missing or too many: a file goes on behind record ${String(count)}`,
    });
    this.#chains.set(writer, { chain: this.#newChain(start), position: start });
  }

  #pushRecord(bytes: Buffer): void {
    const record = parseRecord(bytes);
    if (record === undefined) return;
    this.#records++;
    this.#store ??= record.store;
    const { writer, sequence, previous } = record;
    const from = { writer, count: sequence - 1, head: Buffer.from(previous, "hex") };
    const known = this.#chains.get(writer) ?? { chain: this.#newChain(from), position: from };
    if (!this.#chains.has(writer)) {
      this.#chains.set(writer, known);
      this.#findings.push({ kind: "record", writer, sequence, problem: "comes without the line that says what its chain goes on from" });
    }
    known.chain.push(bytes);
    known.position = extendChain(known.position, bytes);
  }

  #newChain(start: ChainPosition): ChainCheck {
    return new ChainCheck({ writer: start.writer, storeId: this.#store, attested: new Map(), start });
  }
}

/**
 * Verifies the files of an audit sink, oldest first: that every writer's records follow each other, within the files and from each to
 * the next. They carry no signatures: what was cut from the end of the newest file shows only against the store or an export.
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
    check.endFile();
  }
  return check.end();
}
