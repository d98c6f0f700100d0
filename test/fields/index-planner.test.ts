import { createSecretKey } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createIndexer } from "../../src/crypto/blind-index.ts";
import { createIndexSpec } from "../../src/fields/blind-index.ts";
import { formatIndexPlan } from "../../src/fields/index-plan-text.ts";
import { type IndexPlan, planIndex } from "../../src/fields/index-planner.ts";
import { countValues, type FrequencyTable, ValueFrequencies } from "../../src/fields/value-frequencies.ts";
import { expectError } from "../crypto/support/expect-error.ts";
import { canaries } from "../setup/canary.ts";

const unique = (count: number): ReadonlyMap<string, number> => new Map(Array.from({ length: count }, (_, at) => [`value ${at}`, 1]));

/** Counts that fall off as names do: the n-th most frequent has 1 ⁄ n of the rows of the first. */
const skewed = (count: number, first: number): ReadonlyMap<string, number> =>
  new Map(Array.from({ length: count }, (_, at) => [`name ${at}`, Math.max(1, Math.round(first / (at + 1)))]));

const codes = (plan: IndexPlan): readonly string[] => plan.warnings.map(({ code }) => code);

function* repeat(counts: ReadonlyMap<string, number>): Generator<string> {
  for (const [value, count] of counts) for (let row = 0; row < count; row++) yield value;
}

describe("the index planner", () => {
  it("plans unique values as CipherSweet does: the most bits that leave 2 to √R rows to a token", () => {
    for (const rows of [1_000, 5_000, 50_000]) {
      const { recommended, warnings } = planIndex(unique(rows));
      const coincidences = (rows - 1) / 2 ** recommended.bits;
      expect(coincidences).toBeGreaterThanOrEqual(2);
      expect(coincidences / 2).toBeLessThan(2);
      expect(recommended.otherValues).toBeCloseTo(coincidences);
      expect(recommended.falsePositives).toBeCloseTo(coincidences);
      expect(coincidences).toBeLessThan(Math.sqrt(rows));
      expect(warnings).toEqual([]);
    }
    expect(planIndex(unique(50_000)).recommended.bits).toBe(14);
  });

  it("measures rows, values, entropy and the most frequent value", () => {
    const plan = planIndex(
      new Map([
        ["a", 4],
        ["b", 2],
        ["c", 1],
        ["d", 1],
      ]),
    );
    expect(plan).toMatchObject({ rows: 8, indexedRows: 8, distinctValues: 4, largestValueRows: 4, exact: true });
    expect(plan.entropyBits).toBeCloseTo(1.75);
    expect(plan.minEntropyBits).toBeCloseTo(1);
  });

  it("leaves room for the indexes that the column has already", () => {
    const alone = planIndex(unique(20_000));
    expect(planIndex(unique(20_000), [{ bits: 8, inputBits: 3 }]).recommended.bits).toBe(alone.recommended.bits - 3);
    expect(planIndex(unique(20_000), [{ bits: 4, inputBits: 40 }]).recommended.bits).toBe(alone.recommended.bits - 4);
    expect(codes(planIndex(unique(20_000), [{ bits: 11, inputBits: 20 }]))).toContain("few-values");
  });

  it("counts distinct values, not rows: many rows of few values hide nothing", () => {
    const few = planIndex(
      new Map([
        ["f", 500_000],
        ["m", 490_000],
        ["x", 10_000],
      ]),
    );
    expect(few.recommended.bits).toBe(8);
    expect(codes(few)).toEqual(["few-values", "frequent-values", "many-false-positives"]);
    expect(few.recommended).toMatchObject({ exposedValues: 3, exposedRows: 1_000_000 });
  });

  it("warns of frequent values and of nothing else in a long tail", () => {
    const { recommended, warnings } = planIndex(skewed(4_000, 500));
    expect(warnings.map(({ code }) => code)).toEqual(["frequent-values"]);
    expect(recommended.exposedValues).toBeGreaterThan(3);
    expect(recommended.exposedValues).toBeLessThan(200);
    const even = planIndex(new Map(Array.from({ length: 4_000 }, (_, at) => [`name ${at}`, 5])));
    expect(even.recommended.exposedValues).toBe(0);
    expect(even.warnings).toEqual([]);
  });

  it("warns of searches that open too much", () => {
    const plan = planIndex(new Map(Array.from({ length: 600 }, (_, at) => [`name ${at}`, 2_000])));
    expect(codes(plan)).toEqual(["many-false-positives"]);
  });

  it("foretells what real tokens do", () => {
    const counts = skewed(3_000, 300);
    const { recommended } = planIndex(counts);
    const spec = createIndexSpec(
      { columns: ["name"], kind: "exact", bits: recommended.bits },
      { datasetId: "d", generation: 1, keyVersion: 1 },
    );
    const measured = Array.from({ length: 8 }, (_, seed) => {
      const index = createIndexer(createSecretKey(Buffer.alloc(32, seed)), spec);
      const rowsByToken = new Map<string, number>();
      for (const [value, count] of counts) rowsByToken.set(index([value]), (rowsByToken.get(index([value])) ?? 0) + count);
      const rows = [...counts.values()].reduce((sum, count) => sum + count);
      const vain = [...counts].reduce((sum, [value, count]) => sum + count * ((rowsByToken.get(index([value])) ?? 0) - count), 0) / rows;
      return { vain, largest: Math.max(...rowsByToken.values()) };
    });
    const mean = (figures: number[]): number => figures.reduce((sum, figure) => sum + figure) / figures.length;
    expect(recommended.falsePositives / mean(measured.map(({ vain }) => vain))).toBeCloseTo(1, 0.5);
    expect(recommended.largestBucket / mean(measured.map(({ largest }) => largest))).toBeCloseTo(1, 0.5);
  });

  it("has an answer for empty and tiny columns", () => {
    for (const count of [0, 1, 2, 3]) {
      const plan = planIndex(unique(count));
      expect(plan.recommended.bits).toBe(8);
      expect(codes(plan)).toEqual([count === 0 ? "nothing-to-index" : "few-values"]);
      expect(formatIndexPlan(plan)).not.toMatch(/NaN|Infinity|undefined/);
    }
  });

  it("gives finite figures for any counts, and the same each time", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 10_000 }), { maxLength: 50 }), (counts) => {
        const column = new Map(counts.map((count, at) => [`${at}`, count]));
        const plan = planIndex(column);
        expect(planIndex(new Map([...column].reverse()))).toEqual(plan);
        for (const choice of plan.choices) for (const figure of Object.values(choice)) expect(Number.isFinite(figure)).toBe(true);
        expect(plan.choices).toContain(plan.recommended);
        expect(plan.recommended.largestBucket).toBeGreaterThanOrEqual(plan.largestValueRows);
        expect(plan.recommended.largestBucket).toBeLessThanOrEqual(plan.indexedRows);
        expect(plan.recommended.exposedRows).toBeLessThanOrEqual(plan.indexedRows);
      }),
    );
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses the count %d", (count) => {
    expectError("INVALID_ARGUMENT", () => planIndex(new Map([["a", count]])));
  });

  it("prints figures, a table with the recommended size marked, warnings, and no value", () => {
    const text = formatIndexPlan(planIndex(new Map([[canaries.diagnosis.text, 900], ...skewed(2_000, 100)])));
    expect(text).not.toContain(canaries.diagnosis.text);
    expect(text).not.toContain("name 1");
    expect(text).toMatchInlineSnapshot(`
      "rows            3316, 3316 with something to index
      distinct values 2001
      entropy         8.45 bits, 1.88 for the most frequent value (900 rows)
      keep            9 bits

        bits  false positives  values per token  largest bucket  exposed values
           8             12.0              8.81             911               6
      >    9             5.99              4.91             904               9
          10             2.99              2.95             900              16
          11             1.50              1.98             900              23
          12             0.75              1.49             900              41

      warning: 9 values with 35.3 % of the rows stand out by the number of rows of their token; make a compound index with another column, or accept it
      "
    `);
  });
});

describe("counting values", () => {
  it("is exact up to the limit, whatever the order", async () => {
    const counts = skewed(500, 40);
    const table = await countValues(repeat(counts), 500);
    expect(table).toMatchObject({ exact: true, rows: [...repeat(counts)].length });
    expect(planIndex(table)).toEqual(planIndex(counts));
    expect(await countValues([...repeat(counts)].reverse(), 500)).toEqual(table);
  });

  it("tells rows without a value, and takes asynchronous rows of several columns", async () => {
    async function* rows(): AsyncGenerator<readonly string[] | undefined> {
      yield ["a", "b"];
      yield undefined;
      await Promise.resolve();
      yield ["ab", ""];
      yield ["a", "b"];
    }
    expect(await countValues(rows())).toEqual({
      rows: 4,
      indexedRows: 3,
      exact: true,
      frequencies: [
        { count: 2, values: 1 },
        { count: 1, values: 1 },
      ],
    });
  });

  it("beyond the limit keeps its memory bounded, estimates the number of values and keeps the frequent ones", () => {
    const frequencies = new ValueFrequencies(2_048);
    for (let row = 0; row < 100_000; row++) {
      frequencies.add(`value ${row}`);
      if (row % 10 === 0) frequencies.add("frequent");
      if (row > 50_000 && row % 20 === 0) frequencies.add("late");
    }
    const table: FrequencyTable = frequencies.table();
    const plan = planIndex(table);
    expect(table.exact).toBe(false);
    expect(table.indexedRows).toBe(112_499);
    expect(table.frequencies.reduce((values, frequency) => values + frequency.values, 0)).toBeGreaterThan(90_000);
    expect(plan.distinctValues).toBeLessThan(110_000);
    const [first, second] = table.frequencies;
    const allowed = 112_499 / (2_048 / 64);
    expect(first?.count).toBeGreaterThanOrEqual(10_000);
    expect(first?.count).toBeLessThanOrEqual(10_000 + allowed);
    expect(first?.values).toBe(1);
    expect(second?.count ?? 0).toBeLessThan(10_000);
    expect(codes(plan)).toContain("estimated");
    expect(codes(plan)).toContain("frequent-values");
    expect(formatIndexPlan(plan)).toContain("about");
  });

  it("beyond the limit counts a frequent value once, whether the sample has it or not", () => {
    const frequencies = new ValueFrequencies(2_048);
    for (let row = 0; row < 12_000; row++) {
      frequencies.add(`value ${row}`);
      frequencies.add(`frequent ${row % 6}`);
    }
    const frequent = frequencies.table().frequencies.filter(({ count }) => count >= 2_000);
    expect(frequent.reduce((values, frequency) => values + frequency.values, 0)).toBe(6);
  });

  it("counts the row that goes beyond the limit once", () => {
    const frequencies = new ValueFrequencies(64);
    for (let row = 0; row < 64; row++) frequencies.add(`value ${row}`);
    frequencies.add("frequent", 1_000);
    expect(frequencies.table()).toMatchObject({ rows: 1_064, exact: false });
    const [first] = frequencies.table().frequencies;
    expect(first?.count).toBeGreaterThanOrEqual(1_000);
    expect(first?.count).toBeLessThanOrEqual(1_064);
  });

  it("does not depend on anything but values and order", () => {
    const run = (): FrequencyTable => {
      const frequencies = new ValueFrequencies(100);
      for (let row = 0; row < 5_000; row++) frequencies.add(`value ${row % 700}`);
      return frequencies.table();
    };
    expect(run()).toEqual(run());
  });

  it.each([0, -1, 1.5, Number.NaN])("refuses the limit %d", (limit) => {
    expectError("INVALID_ARGUMENT", () => new ValueFrequencies(limit));
  });
});
