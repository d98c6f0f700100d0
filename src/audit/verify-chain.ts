import { chainHash, type ChainPosition, extendChain, startChain } from "./hash-chain.ts";
import { closeAction, openAction } from "./journal.ts";
import { type AuditRecord, parseRecord } from "./record.ts";
import type { Attestation } from "./verify-checkpoints.ts";

/** The first thing that is wrong with a writer's records. */
export interface ChainFinding {
  readonly sequence: number;
  readonly problem: string;
}

/** Whose records are checked. */
export interface Chain {
  readonly writer: string;
  /** Absent: any, as long as it is not looked at. */
  readonly storeId: string | undefined;
  /** What good checkpoints say, by number of records. */
  readonly attested: ReadonlyMap<number, Attestation>;
  /** Where the records go on from; absent: from the first one. */
  readonly start?: ChainPosition;
}

interface ChainLine {
  readonly line: Uint8Array;
  readonly record: AuditRecord | undefined;
}

/** What a record says about itself that does not fit its place. */
function misplaced(record: AuditRecord, { writer, storeId }: Chain, sequence: number): string | undefined {
  if (record.writer !== writer) return `names the writer ${record.writer}`;
  if (storeId !== undefined && record.store !== storeId) return `names the store ${record.store}`;
  if (record.sequence !== sequence) return `says that it is record ${String(record.sequence)}: records were swapped, inserted or removed`;
  if (sequence === 1 && record.action !== openAction) return `is not the ${openAction} that every chain begins with`;
  return undefined;
}

/**
 * Checks that each record of a writer continues the chain and that checkpoints agree. Takes lines one by one, keeps three.
 *
 * A record names the chain value before it, so an altered one shows at its successor. Which of the two was altered is decided
 * by the next value that is known, from the record after or from a checkpoint.
 */
export class ChainCheck {
  readonly #chain: Chain;
  #position: ChainPosition;
  #lines: ChainLine[] = [];
  #ended = false;
  #finding: ChainFinding | undefined;

  constructor(chain: Chain) {
    this.#chain = chain;
    this.#position = chain.start ?? startChain(chain.writer);
  }

  /** Takes the next line. */
  push(line: Uint8Array): void {
    if (this.#finding !== undefined) return;
    this.#lines.push({ line, record: parseRecord(line) });
    if (this.#lines.length === 3) this.#step();
  }

  /** What was found, after the last line; undefined when all is well. */
  end(): ChainFinding | undefined {
    while (this.#lines.length > 0) this.#step();
    return this.#finding;
  }

  #step(): void {
    const [current, next, after] = this.#lines;
    this.#lines = this.#lines.slice(1);
    if (current !== undefined) this.#finding ??= this.#check(current, next, after);
  }

  #check({ line, record }: ChainLine, next: ChainLine | undefined, after: ChainLine | undefined): ChainFinding | undefined {
    const sequence = this.#position.count + 1;
    if (record === undefined) return { sequence, problem: "is not a record any more" };
    const problem = misplaced(record, this.#chain, sequence) ?? (this.#ended ? `follows the ${closeAction} of its chain` : undefined);
    if (problem !== undefined) return { sequence, problem };
    if (record.previous !== this.#position.head.toString("hex")) return { sequence, problem: "does not continue the chain" };
    this.#ended = record.action === closeAction;
    this.#position = extendChain(this.#position, line);

    const { head } = this.#position;
    const said = this.#chain.attested.get(sequence);
    if (said !== undefined && !said.head.equals(head)) {
      return { sequence, problem: `is not what checkpoint ${said.checkpoint} signed: it, or records before it, were altered` };
    }
    if (next?.record === undefined || next.record.previous === head.toString("hex")) return undefined;
    // A successor from another place says nothing about this record; the next round names it.
    if (misplaced(next.record, this.#chain, sequence + 1) !== undefined) return undefined;
    const altered = said === undefined && this.#isGood(next.record, next.line, after);
    return altered ? { sequence, problem: "was altered" } : { sequence: sequence + 1, problem: "does not continue the chain" };
  }

  /** True unless what comes after the successor shows that it, not the record before it, was altered. */
  #isGood(successor: AuditRecord, line: Uint8Array, after: ChainLine | undefined): boolean {
    const expected = this.#chain.attested.get(this.#position.count + 1)?.head.toString("hex") ?? after?.record?.previous;
    return expected === undefined || chainHash(Buffer.from(successor.previous, "hex"), line).toString("hex") === expected;
  }
}
