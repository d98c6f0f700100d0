import { setImmediate as nextTurn } from "node:timers/promises";
import { formatCount } from "../../table.ts";
import { chooseIndexes } from "../index-choice.ts";
import { type ExpectedFind, PlaintextScan } from "../plaintext-scan.ts";
import type { StepOutcome } from "../report.ts";
import type { FilledTable } from "../sample-database.ts";
import { planColumns, type PlannedSearch, type Tour, type TourPlan } from "../tour.ts";
import { plural } from "../words.ts";

const pauseRows = 2_000;

/** How index and token column of a kind are called, after the name of the column: different for each, so that they never meet. */
const suffixes = { exact: "exact", "last(4)": "last4", metaphone: "sound" } as const;

/**
 * Looks at the columns, picks what to search for, and finds it by reading all plaintext: what a search of the protected table
 * must find, too. Adds the columns for the tokens.
 */
export async function chooseSearches({ source, database, signal }: Tour, filled: FilledTable): Promise<StepOutcome<TourPlan>> {
  const scans = chooseIndexes(filled.columns).map((index) => new PlaintextScan(index));
  let count = 0;
  for (const [key = null, ...values] of database.scan(scans.map(({ index }) => index.column))) {
    for (const [position, scan] of scans.entries()) scan.add([key, values[position] ?? null]);
    count += 1;
    if (count % pauseRows === 0) {
      signal.throwIfAborted();
      await nextTurn();
    }
  }
  const expected: ExpectedFind[] = [];
  for (const scan of scans) expected.push(...[scan.expect(expected)].filter((find) => find !== undefined));
  const searches = expected.map((find): PlannedSearch => {
    const { column, kind } = find.index;
    const suffix = suffixes[kind];
    const indexColumn = database.addIndexColumn(`${column.name}_${suffix}`, source.columns);
    return { ...find, name: `${column.logical}_${suffix}`, indexColumn };
  });
  return {
    result: { dataset: source.table, rows: filled.rows, values: filled.values, ...planColumns(source.columns), searches },
    rows: filled.rows,
    text: searches.length === 0 ? "no column has anything to search for" : "read all plaintext to know what each search must find later",
    details: searches.map(describe),
  };
}

function describe({ index, keys, plan }: PlannedSearch): string {
  const { bits, falsePositives } = plan.recommended;
  const inVain =
    falsePositives < 0.05
      ? "hardly any"
      : `about ${falsePositives < 10 ? falsePositives.toFixed(1) : formatCount(Math.round(falsePositives))}`;
  return `${index.search} in ${index.column.name}: ${plural(keys.size, "row")}; a token keeps ${bits} bits, so a search opens ${inVain} rows in vain`;
}
