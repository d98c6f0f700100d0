import { maxIndexBits, minIndexBits } from "../crypto/blind-index.ts";
import { KeysteadError } from "../errors.ts";
import { fullestToken } from "./token-load.ts";
import type { Frequency, FrequencyTable } from "./value-frequencies.ts";

/** A blind index that rows of the same column have already: what it tells, the new one can't keep. */
export interface ExistingIndex {
  readonly bits: number;
  /** Bits of its input: log2 of its distinct values. */
  readonly inputBits: number;
}

/** What a number of bits means for the column that was counted. */
export interface IndexChoice {
  readonly bits: number;
  /** Rows of other values that a search for the value of a random row finds, on average: opened in vain. */
  readonly falsePositives: number;
  /** Other values that share the token of a value, on average. Fewer than 2: equal tokens mean equal values. */
  readonly otherValues: number;
  /** Rows of the token that most rows have, under a typical key. */
  readonly largestBucket: number;
  /** Values so frequent that their token stands out by its rows alone. */
  readonly exposedValues: number;
  /** Rows of those values. */
  readonly exposedRows: number;
}

/** Something to think about before the index is built. */
export interface IndexWarning {
  readonly code: "nothing-to-index" | "few-values" | "frequent-values" | "many-false-positives" | "estimated";
  /** Never contains a value. */
  readonly message: string;
}

/** What the index planner advises. */
export interface IndexPlan {
  readonly rows: number;
  /** Rows that get a token. */
  readonly indexedRows: number;
  readonly distinctValues: number;
  /** Shannon entropy of a random row's value, in bits. */
  readonly entropyBits: number;
  /** −log2 of the share of the most frequent value: what one guess is worth. */
  readonly minEntropyBits: number;
  /** Rows of the most frequent value. */
  readonly largestValueRows: number;
  /** False when the column had too many distinct values to count all. */
  readonly exact: boolean;
  readonly recommended: IndexChoice;
  /** Sizes around the recommended one, fewest bits first. */
  readonly choices: readonly IndexChoice[];
  readonly warnings: readonly IndexWarning[];
}

interface Column {
  readonly rows: number;
  readonly values: number;
  /** Sum of the squared counts. */
  readonly squares: number;
  /** Most frequent first. */
  readonly frequencies: readonly Frequency[];
}

/** Other values that should share a token, so that nobody can tell equal values from unequal ones: CipherSweet's C ≥ 2. */
const safeOtherValues = 2;

/** Standard deviations by which the rows of a frequent value stand out from those of other tokens. */
const standingOut = 3;

const choicesAround = 3;

/**
 * Advises how many bits of a blind index to keep.
 *
 * CipherSweet plans for R rows of uniform values: with L bits C = R ÷ 2^L rows share a token by coincidence, and
 * 2 ≤ C < √R is the safe and useful range, bits of several indexes of a column added up. Real columns are skewed, so here the
 * lower bound counts distinct *values* (D, not R: rows of one value hide nothing), the upper one the rows that a search opens
 * in vain, weighted by how often each value is there. Recommended are the most bits with (D − 1) ÷ 2^L ≥ 2, but at least 8.
 * For a column of unique values both rules are the same.
 *
 * @param frequencies - What {@link countValues} found, or the count of each value.
 * @throws KeysteadError `INVALID_ARGUMENT` for counts that are no whole numbers from 1.
 */
export function planIndex(frequencies: FrequencyTable | ReadonlyMap<string, number>, existing: readonly ExistingIndex[] = []): IndexPlan {
  const table = isFrequencyTable(frequencies) ? frequencies : tableOf(frequencies.values());
  const column = summarise(table.frequencies);
  const told = existing.reduce((bits, index) => bits + Math.min(index.bits, index.inputBits), 0);
  const bits = clampBits(Math.floor(Math.log2(Math.max(0, column.values - 1) / safeOtherValues) - told));
  const recommended = choose(column, bits);
  const around = Array.from({ length: 2 * choicesAround + 1 }, (_, at) => bits - choicesAround + at);
  return {
    rows: table.rows,
    indexedRows: table.indexedRows,
    distinctValues: column.values,
    entropyBits: entropy(column),
    minEntropyBits: column.rows === 0 ? 0 : -Math.log2(largestCount(column) / column.rows),
    largestValueRows: largestCount(column),
    exact: table.exact,
    recommended,
    choices: around.filter((size) => size === clampBits(size)).map((size) => (size === bits ? recommended : choose(column, size))),
    warnings: warn(column, recommended, told, table.exact),
  };
}

function choose(column: Column, bits: number): IndexChoice {
  const tokens = 2 ** bits;
  return {
    bits,
    falsePositives: column.rows === 0 ? 0 : (column.rows - column.squares / column.rows) / tokens,
    otherValues: Math.max(0, column.values - 1) / tokens,
    largestBucket: fullestToken(column.frequencies, bits),
    ...findExposed(column, tokens),
  };
}

/**
 * A value is exposed when it has more rows than a token collects of all values that are not more frequent: the mean and three
 * standard deviations of that. Single rows say nothing about frequency.
 */
function findExposed(column: Column, tokens: number): Pick<IndexChoice, "exposedValues" | "exposedRows"> {
  let [rows, squares, exposedValues, exposedRows] = [0, 0, 0, 0];
  for (const { count, values } of column.frequencies.toReversed()) {
    rows += count * values;
    squares += count * count * values;
    const usual = (rows - count) / tokens + standingOut * Math.sqrt((squares - count * count) / tokens);
    if (count > Math.max(1, usual)) {
      exposedValues += values;
      exposedRows += count * values;
    }
  }
  return { exposedValues, exposedRows };
}

function warn(column: Column, choice: IndexChoice, told: number, exact: boolean): readonly IndexWarning[] {
  if (column.rows === 0) return [{ code: "nothing-to-index", message: "no row has anything to index: check column and normaliser" }];
  const warnings: IndexWarning[] = [];
  if (!exact) warnings.push({ code: "estimated", message: "too many distinct values to keep all: figures are estimates from a sample" });
  if (choice.otherValues < safeOtherValues * 2 ** told) {
    warnings.push({
      code: "few-values",
      message:
        `only ${plural(column.values, "distinct value")}${told > 0 ? " beside the indexes there are" : ""}: ` +
        `even at ${choice.bits} bits equal tokens tell equal values; ` +
        "make a compound index with another column, or none",
    });
  }
  if (choice.exposedValues > 0) {
    const share = ((100 * choice.exposedRows) / column.rows).toFixed(1);
    warnings.push({
      code: "frequent-values",
      message:
        `${plural(choice.exposedValues, "value")} with ${share} % of the rows stand out by the number of rows of their token; ` +
        "make a compound index with another column, or accept it",
    });
  }
  if (choice.falsePositives > Math.sqrt(column.rows)) {
    warnings.push({
      code: "many-false-positives",
      message: `a search opens about ${Math.ceil(choice.falsePositives)} rows in vain: more bits mean fewer, and tell more`,
    });
  }
  return warnings;
}

function summarise(frequencies: readonly Frequency[]): Column {
  return {
    rows: frequencies.reduce((sum, { count, values }) => sum + count * values, 0),
    values: frequencies.reduce((sum, { values }) => sum + values, 0),
    squares: frequencies.reduce((sum, { count, values }) => sum + count * count * values, 0),
    frequencies,
  };
}

function entropy({ rows, frequencies }: Column): number {
  return frequencies.reduce((sum, { count, values }) => sum - values * (count / rows) * Math.log2(count / rows), 0);
}

function largestCount({ frequencies }: Column): number {
  return frequencies[0]?.count ?? 0;
}

function clampBits(bits: number): number {
  return Math.min(maxIndexBits, Math.max(minIndexBits, bits));
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function isFrequencyTable(frequencies: FrequencyTable | ReadonlyMap<string, number>): frequencies is FrequencyTable {
  return "frequencies" in frequencies;
}

function tableOf(counts: Iterable<number>): FrequencyTable {
  const valuesByCount = new Map<number, number>();
  for (const count of counts) {
    if (!Number.isSafeInteger(count) || count < 1)
      throw new KeysteadError("INVALID_ARGUMENT", "counts are whole numbers from 1: leave out other values");
    valuesByCount.set(count, (valuesByCount.get(count) ?? 0) + 1);
  }
  const frequencies = Array.from(valuesByCount, ([count, values]) => ({ count, values })).sort((a, b) => b.count - a.count);
  const { rows } = summarise(frequencies);
  return { rows, indexedRows: rows, frequencies, exact: true };
}
