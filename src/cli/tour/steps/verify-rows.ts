import { setImmediate as nextTurn } from "node:timers/promises";
import { isKeysteadError, KeysteadError } from "../../../errors.ts";
import type { KeyHandle } from "../../../index.ts";
import { formatCount } from "../../table.ts";
import type { StepOutcome } from "../report.ts";
import type { SampleRow, SampleValue } from "../table-source.ts";
import { contextOf, type PlannedColumn, type Tour, type TourPlan } from "../tour.ts";
import { plural } from "../words.ts";

const pauseRows = 200;

/** What opening everything found. */
export interface VerifiedRows {
  readonly rows: number;
  /** Values that opened to what they were. */
  readonly values: number;
  /** Values that no job could protect, and that are what they were. */
  readonly leftAlone: number;
}

/** Opens every value and compares it with the row from which the table was made. */
export async function verifyRows(tour: Tour, plan: TourPlan, problems: number): Promise<StepOutcome<VerifiedRows>> {
  const { keystead, database, source, report, signal } = tour;
  const keys = new Map<string, KeyHandle>();
  for (const purpose of plan.purposes) keys.set(purpose, await keystead.open(purpose));
  try {
    const comparison = new Comparison(tour, plan, keys);
    await report.progress({ title: "compare", unit: "rows" }, async (progress) => {
      for await (const original of source.rows()) {
        comparison.compare(original);
        if (comparison.rows % pauseRows !== 0) continue;
        progress.update(comparison.rows, plan.rows);
        signal.throwIfAborted();
        await nextTurn();
      }
    });
    const { rows, values, leftAlone } = comparison;
    if (rows !== plan.rows || database.count() !== rows) throw lost("the table has not as many rows as it was made of");
    if (values + leftAlone !== plan.values) throw lost("values are missing");
    if (leftAlone > problems) throw lost("values are in plaintext that no job reported");
    return {
      result: { rows, values, leftAlone },
      rows,
      values,
      text: `every row opened: ${plural(values, "value")}, all as they were${leftAlone === 0 ? "" : `, and ${formatCount(leftAlone)} left alone`}`,
    };
  } finally {
    for (const key of keys.values()) await key.close();
  }
}

/** Compares row by row. */
class Comparison {
  readonly #tour: Tour;
  readonly #plan: TourPlan;
  readonly #keys: ReadonlyMap<string, KeyHandle>;
  readonly #protected: ReadonlyMap<string, PlannedColumn>;
  rows = 0;
  values = 0;
  leftAlone = 0;

  constructor(tour: Tour, plan: TourPlan, keys: ReadonlyMap<string, KeyHandle>) {
    this.#tour = tour;
    this.#plan = plan;
    this.#keys = keys;
    this.#protected = new Map(plan.columns.map((column) => [column.name, column]));
  }

  /** @throws KeysteadError `VERIFICATION_FAILED` naming the row's number and the column */
  compare(original: SampleRow): void {
    const { source, database } = this.#tour;
    const [key = null] = original;
    const stored = database.row(key);
    this.rows += 1;
    if (stored === undefined) throw lost(`row ${this.rows} is gone`);
    for (const [position, { name }] of source.columns.entries()) {
      const [was, is] = [original[position] ?? null, stored[position] ?? null];
      const column = this.#protected.get(name);
      const opened = column === undefined || is === null ? is : this.#open(String(key), column, is, was);
      if (opened !== was) throw lost(`the value of ${name} in row ${this.rows} is not what it was`);
    }
  }

  /** The value behind the ciphertext. A value that looks like ciphertext of another store was left alone. */
  #open(key: string, column: PlannedColumn, sealed: Exclude<SampleValue, null>, was: SampleValue): unknown {
    try {
      const opened = this.#keys.get(column.purpose)?.decryptValue(String(sealed), contextOf(this.#plan.dataset, key, column.logical));
      this.values += 1;
      return opened;
    } catch (error) {
      if (!isKeysteadError(error)) throw error;
      if (sealed !== was) throw lost(`the value of ${column.name} in row ${this.rows} does not open`, error);
      this.leftAlone += 1;
      return sealed;
    }
  }
}

function lost(what: string, cause?: unknown): KeysteadError {
  return new KeysteadError("VERIFICATION_FAILED", `${what}; please report this`, { cause });
}
