import { setImmediate as nextTurn } from "node:timers/promises";
import { KeysteadError } from "../../../errors.ts";
import { formatCount } from "../../table.ts";
import type { FilledTable } from "../sample-database.ts";
import type { StepOutcome } from "../report.ts";
import type { Tour } from "../tour.ts";
import { plural } from "../words.ts";

/** Makes the sample table and fills it with plaintext. */
export async function makeTable({ source, database, report, signal }: Tour): Promise<StepOutcome<FilledTable>> {
  const filled = await report.progress({ title: "sample table", unit: "rows" }, (progress) =>
    database.fill(source.rows(), async (rows) => {
      progress.update(rows, source.rowCount);
      signal.throwIfAborted();
      await nextTurn();
    }),
  );
  const { rows, values, columns } = filled;
  if (values === 0)
    throw new KeysteadError("INVALID_ARGUMENT", "the columns to protect hold no values; take another file, or name others with --columns");
  const cells = rows * columns.filter(({ column }) => column.protect).length;
  const gaps = Math.round(100 * (1 - values / cells));
  const origin = source.kind === "generated" ? "invented persons" : "rows of your file";
  return {
    result: filled,
    rows,
    values,
    text: `${formatCount(rows)} ${origin}, ${plural(values, "value")} to protect, gaps of ${gaps} %`,
    details: source.notes,
  };
}
