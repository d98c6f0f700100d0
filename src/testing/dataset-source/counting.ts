import assert from "node:assert/strict";
import type { SourcePage } from "../../datasets/source.ts";
import { headerSamples, headerText, sealedFor } from "./ciphertext.ts";
import { cellText, indexColumnOf, nullCell, rowsWith, sampleRows, textCell, valueColumnOf } from "./samples.ts";
import { type DatasetSourceSuite, failsWith, withSource } from "./suite.ts";

/** The census, and finding rows by token. */
export function testCounting(suite: DatasetSourceSuite): void {
  const { it, layout } = suite;
  const valueColumn = valueColumnOf(suite);
  const indexColumn = indexColumnOf(suite);
  const withTokens = (tokens: readonly (string | null)[]): ReturnType<typeof rowsWith> =>
    rowsWith(
      suite,
      indexColumn,
      tokens.map((token) => (token === null ? nullCell : textCell(token))),
    );

  const textsOf = ({ rows }: SourcePage): string[] => rows.map(({ cells }) => cellText(cells[indexColumn])).sort();

  const leftOut = suite.textHoldsNul === false ? " (texts with U+0000 left out: there are none)" : "";

  it(`tells ciphertext by key and version, plaintext and NULL apart, as the strict parser does${leftOut}`, () => {
    const samples = headerSamples(suite);
    return withSource(suite, rowsWith(suite, valueColumn, samples), async (source) => {
      const counts = (await source.countHeaders()).filter(({ column }) => column === valueColumn);
      const found = counts.map(
        ({ kind, key, label, count }) => [kind === "ciphertext" ? `${kind} ${String(key)} ${String(label)}` : kind, count] as const,
      );
      assert.equal(new Set(found.map(([header]) => header)).size, found.length, "a header is counted in two places");
      assert.deepEqual(new Map(found.toSorted(byText)), tally(samples.map(headerText)));
    });
  });

  it("tells the values of the column apart as the strict parser does", () => {
    const samples = [...suite.values, ...suite.values, sealedFor(suite, "among them")];
    return withSource(suite, rowsWith(suite, valueColumn, samples), async (source) => {
      const counts = (await source.countHeaders()).filter(({ column }) => column === valueColumn);
      const kinds = ["null", "plaintext", "ciphertext"].map((kind) =>
        counts.filter((count) => count.kind === kind).reduce((sum, { count }) => sum + count, 0),
      );
      const wanted = ["null", "plaintext", "ciphertext"].map((kind) => samples.filter((cell) => headerText(cell).startsWith(kind)).length);
      assert.deepEqual(kinds, wanted);
    });
  });

  it("counts each value column", () =>
    withSource(suite, sampleRows(suite, 60), async (source) => {
      const counts = await source.countHeaders();
      const totals = layout.valueColumns.map((name) =>
        counts.filter(({ column }) => column === name).reduce((sum, { count }) => sum + count, 0),
      );
      assert.deepEqual(
        totals,
        layout.valueColumns.map(() => 60),
      );
    }));

  it("counts tokens by generation, none and malformed ones apart", () => {
    const good = ["1.AAAA", "1.BBBB", "2.AAAA", "12.AA", "1.A-_A"];
    const malformed = [
      "0.AAAA",
      "01.AAAA",
      "1.",
      "1.A",
      "1.AB",
      "1.AA==",
      "AAAA",
      ".AAAA",
      "",
      "x.AAAA",
      "-1.AAAA",
      "1.AA.AA",
      "1.AAAA ",
      "99999999999999999999.AAAA",
    ];
    return withSource(suite, withTokens([...good, ...malformed, null, null]), async (source) => {
      const counts = (await source.countGenerations()).filter(({ column }) => column === indexColumn);
      const found = new Map(counts.map(({ generation, count }) => [String(generation), count] as const).toSorted(byText));
      assert.deepEqual(
        found,
        new Map([
          ["-1", malformed.length],
          ["1", 3],
          ["12", 1],
          ["2", 1],
          ["null", 2],
        ]),
      );
    });
  });

  it("stops counting when it is cancelled", () =>
    withSource(suite, sampleRows(suite, 2), async (source) => {
      const signal = AbortSignal.abort(new Error("by the test"));
      await failsWith("CANCELLED", () => source.countHeaders(signal));
      await failsWith("CANCELLED", () => source.countGenerations(signal));
    }));

  it("finds rows by exactly these tokens", () =>
    withSource(suite, withTokens(["1.AAAA", "1.aaaa", "1.AAAA", "2.BBBB", null, "1.AAAA "]), async (source) => {
      const find = async (tokens: readonly string[], limit = 100): Promise<string[]> =>
        textsOf(await source.findByTokens([{ column: indexColumn, tokens }], undefined, limit));
      const [a, b] = ["1.AAAA", "2.BBBB"].map((token) => cellText(textCell(token)));
      assert.deepEqual(await find(["1.AAAA"]), [a, a]);
      assert.deepEqual(await find(["2.BBBB", "1.AAAA", "2.BBBB", "3.CCCC", "' OR 1=1 --"]), [a, a, b]);
      assert.deepEqual(await find([]), []);
      assert.equal((await find(["1.AAAA"], 1)).length, 1);
      await failsWith("INVALID_ARGUMENT", () => source.findByTokens([{ column: valueColumn, tokens: ["1.AAAA"] }], undefined, 1), /layout/);
    }));

  it("finds a row by several searches once, whichever of them it fits", () =>
    withSource(suite, withTokens(["1.AAAA", "2.BBBB", "2.AAAA", null]), async (source) => {
      const find = async (...searches: readonly (readonly string[])[]): Promise<string[]> =>
        textsOf(
          await source.findByTokens(
            searches.map((tokens) => ({ column: indexColumn, tokens })),
            undefined,
            100,
          ),
        );
      const [a, b] = ["1.AAAA", "2.BBBB"].map((token) => cellText(textCell(token)));
      assert.deepEqual(await find(), []);
      assert.deepEqual(await find(["1.AAAA"], ["2.BBBB", "1.AAAA"]), [a, b]);
      assert.deepEqual(await find(["1.AAAA"], []), [a]);
      const unknown = { column: valueColumn, tokens: [] };
      await failsWith(
        "INVALID_ARGUMENT",
        () => source.findByTokens([{ column: indexColumn, tokens: [] }, unknown], undefined, 1),
        /layout/,
      );
    }));

  const [, otherColumn] = layout.indexColumns;
  if (otherColumn !== undefined) {
    it("finds rows by the tokens of two columns", () => {
      const tokens: readonly (readonly [string | null, string | null])[] = [
        ["1.AAAA", "2.AAAA"],
        ["1.AAAA", null],
        [null, "2.AAAA"],
        ["2.AAAA", "1.AAAA"],
        ["1.aaaa", "2.aaaa"],
        [null, null],
      ];
      const rows = withTokens(tokens.map(([token]) => token)).map((row, number) => {
        const token = tokens[number]?.[1] ?? null;
        return { ...row, [otherColumn]: token === null ? nullCell : textCell(token) };
      });
      return withSource(suite, rows, async (source) => {
        const searches = [
          { column: indexColumn, tokens: ["1.AAAA"] },
          { column: otherColumn, tokens: ["2.AAAA"] },
        ];
        const found: string[] = [];
        for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
          const page = await source.findByTokens(searches, cursor, 2);
          found.push(...page.rows.map(({ cells }) => `${cellText(cells[indexColumn])} ${cellText(cells[otherColumn])}`));
          cursor = page.next;
        }
        const [a, b, none] = [textCell("1.AAAA"), textCell("2.AAAA"), nullCell].map(cellText);
        assert.deepEqual(found.toSorted(), [`${a} ${b}`, `${a} ${none}`, `${none} ${b}`].toSorted());
      });
    });
  }

  it("gives rows that were found a locator that replaces them", () =>
    withSource(suite, withTokens(["1.AAAA", "1.BBBB"]), async (source, table) => {
      const [row] = (await source.findByTokens([{ column: indexColumn, tokens: ["1.BBBB"] }], undefined, 10)).rows;
      assert.ok(row !== undefined);
      const set = { [indexColumn]: textCell("2.CCCC") };
      assert.deepEqual(await source.replace([{ locator: row.locator, expected: row.cells, set }]), ["replaced"]);
      const tokens = (await table.read()).map((after) => cellText(after[indexColumn]));
      assert.deepEqual(
        tokens.sort(),
        ["1.AAAA", "2.CCCC"].map((token) => cellText(textCell(token))),
      );
    }));
}

function tally(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts.toSorted()) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}

function byText(a: readonly [string, number], b: readonly [string, number]): number {
  return a[0] < b[0] ? -1 : 1;
}
