import { chainHash, type ChainPosition, extendChain, startChain } from "./hash-chain.ts";
import { closeAction, openAction } from "./journal.ts";
import { type AuditRecord, parseRecord } from "./record.ts";
import type { Attestation } from "./verify-checkpoints.ts";

/** The first thing that is wrong with a writer's records. */
export interface ChainFinding {
  readonly sequence: number;
  readonly problem: string;
}

/** One writer's records, in order from the first. */
export interface Chain {
  readonly writer: string;
  readonly storeId: string;
  readonly lines: readonly Uint8Array[];
  /** What good checkpoints say, by number of records. */
  readonly attested: ReadonlyMap<number, Attestation>;
}

/** What a record says about itself that does not fit its place. */
function misplaced(record: AuditRecord, { writer, storeId }: Chain, sequence: number): string | undefined {
  if (record.writer !== writer) return `names the writer ${record.writer}`;
  if (record.store !== storeId) return `names the store ${record.store}`;
  if (record.sequence !== sequence) return `says that it is record ${String(record.sequence)}: records were swapped, inserted or removed`;
  if (sequence === 1 && record.action !== openAction) return `is not the ${openAction} that every chain begins with`;
  return undefined;
}

/**
 * Checks that each record continues the chain and that checkpoints agree. Undefined when all is well; never throws.
 *
 * A record names the chain value before it, so an altered one shows at its successor. Which of the two was altered is decided
 * by the next value that is known, from the record after or from a checkpoint.
 */
export function verifyChain(chain: Chain): ChainFinding | undefined {
  const { lines, attested } = chain;
  let position = startChain(chain.writer);
  let record = lines[0] === undefined ? undefined : parseRecord(lines[0]);
  let ended = false;
  for (const [index, line] of lines.entries()) {
    const sequence = index + 1;
    if (record === undefined) return { sequence, problem: "is not a record any more" };
    const problem = misplaced(record, chain, sequence) ?? (ended ? `follows the ${closeAction} of its chain` : undefined);
    if (problem !== undefined) return { sequence, problem };
    if (record.previous !== position.head.toString("hex")) return { sequence, problem: "does not continue the chain" };
    ended = record.action === closeAction;
    position = extendChain(position, line);

    const said = attested.get(sequence);
    if (said !== undefined && !said.head.equals(position.head)) {
      return { sequence, problem: `is not what checkpoint ${said.checkpoint} signed: it, or records before it, were altered` };
    }
    const nextLine = lines[sequence];
    record = nextLine === undefined ? undefined : parseRecord(nextLine);
    if (nextLine === undefined || record === undefined || record.previous === position.head.toString("hex")) continue;
    // A successor from another place says nothing about this record; the next round names it.
    if (misplaced(record, chain, sequence + 1) !== undefined) continue;
    const altered = said === undefined && successorIsGood(chain, position, nextLine, record);
    return altered ? { sequence, problem: "was altered" } : { sequence: sequence + 1, problem: "does not continue the chain" };
  }
  return undefined;
}

/** True unless what comes after the successor shows that it, not the record before it, was altered. */
function successorIsGood({ lines, attested }: Chain, { count }: ChainPosition, line: Uint8Array, record: AuditRecord): boolean {
  const after = lines[count + 1];
  const expected = attested.get(count + 1)?.head.toString("hex") ?? (after === undefined ? undefined : parseRecord(after)?.previous);
  return expected === undefined || chainHash(Buffer.from(record.previous, "hex"), line).toString("hex") === expected;
}
