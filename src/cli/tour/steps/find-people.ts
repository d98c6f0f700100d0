import { KeysteadError } from "../../../errors.ts";
import { systemClock } from "../../../index.ts";
import { formatCount, printable } from "../../table.ts";
import { mostOpened } from "../plaintext-scan.ts";
import type { StepOutcome } from "../report.ts";
import type { PlannedSearch, Tour, TourPlan } from "../tour.ts";

/** How a search went. */
export interface FindResult {
  readonly search: string;
  readonly index: string;
  readonly column: string;
  readonly kind: string;
  readonly bits: number;
  /** Rows found. */
  readonly rows: number;
  /** Exactly the rows that a scan of the plaintext had found before. */
  readonly sameAsScan: boolean;
  readonly seconds: number;
}

/**
 * Searches the protected table and compares with what the scan of the plaintext found. Rows whose value could not be protected
 * are nobody's to find; while plaintext is left in a column, searches of it are refused.
 */
export async function findPeople(tour: Tour, plan: TourPlan, problems: number): Promise<StepOutcome<readonly FindResult[]>> {
  const results: FindResult[] = [];
  const details: string[] = [];
  const { indexes } = await tour.keystead.datasets.show(plan.dataset);
  const refused = new Set(problems === 0 ? [] : indexes.filter(({ state }) => state !== "live").map(({ index }) => index));
  for (const search of plan.searches) {
    if (refused.has(search.name)) {
      details.push(`${search.index.search} in ${search.index.column.name}: refused, because plaintext is left in the column`);
      continue;
    }
    const expected = problems === 0 ? search.keys : sealedAmong(tour, search);
    const result = await find(tour, plan, search, expected);
    if (!result.sameAsScan) {
      throw new KeysteadError(
        "VERIFICATION_FAILED",
        `the search by ${search.name} did not find the rows that a scan of the plaintext found; please report this`,
      );
    }
    results.push(result);
    const what = tour.source.kind === "generated" ? `${search.index.search} ${printable(quoted(search))}` : search.index.search;
    details.push(
      `${what} in ${search.index.column.name}: ${formatCount(result.rows)} of ${formatCount(plan.rows)} rows in ${Math.max(1, Math.round(result.seconds * 1000))} ms`,
    );
    if (tour.source.kind === "generated" && search.spellings.length > 1)
      details.push(`  written ${search.spellings.map(printable).join(", ")}`);
  }
  const text =
    results.length > 0 ? "the same rows as the scans of the plaintext" : details.length > 0 ? "refused" : "nothing to search for";
  return { result: results, text, details };
}

async function find(
  { keystead, source, signal }: Tour,
  { dataset }: TourPlan,
  { name, index, value, plan }: PlannedSearch,
  expected: ReadonlySet<string>,
): Promise<FindResult> {
  signal.throwIfAborted();
  const [key] = source.columns;
  const began = systemClock.monotonic();
  const { rows, complete } = await keystead.datasets.find(dataset, name, [value], { limit: mostOpened, signal });
  const seconds = (systemClock.monotonic() - began) / 1000;
  return {
    search: index.search,
    index: name,
    column: index.column.name,
    kind: index.kind,
    bits: plan.recommended.bits,
    rows: rows.length,
    sameAsScan: complete && rows.length === expected.size && rows.every(({ row }) => expected.has(row[key.name] ?? "")),
    seconds: Math.round(seconds * 10_000) / 10_000,
  };
}

/** The keys of those rows that have a token. */
function sealedAmong({ database }: Tour, { indexColumn, keys }: PlannedSearch): ReadonlySet<string> {
  return new Set([...keys].filter((key) => database.hasValue(key, indexColumn)));
}

function quoted({ index, value }: PlannedSearch): string {
  const text = String(value);
  return `“${index.kind === "last(4)" ? text.slice(-4) : text}”`;
}
