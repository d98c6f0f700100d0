import { describe, expect, it } from "vitest";
import type { ChosenIndex } from "../../src/cli/tour/index-choice.ts";
import { type ExpectedFind, PlaintextScan } from "../../src/cli/tour/plaintext-scan.ts";

const column = { name: "column", logical: "column", type: "TEXT", protect: true } as const;
const sound: ChosenIndex = { search: "sound of a name", kind: "metaphone", column, normaliser: "text" };
const exact: ChosenIndex = { search: "exact value", kind: "exact", column, normaliser: "text" };
const last: ChosenIndex = { search: "last four characters", kind: "last(4)", column, normaliser: "digits" };

function scan(
  index: ChosenIndex,
  values: readonly (string | bigint | null)[],
  existing: readonly ExpectedFind[] = [],
): ExpectedFind | undefined {
  const scanned = new PlaintextScan(index);
  for (const [key, value] of values.entries()) scanned.add([`k${key}`, value]);
  return scanned.expect(existing);
}

describe("a scan of the plaintext", () => {
  it("looks for the sound that is spelled in most ways, whatever the case", () => {
    const find = scan(sound, ["Okonkwo", "OKONKWO", "okonkwo", "Okonkwo", "Meyer", null, "Maier", "O'Brien", "O’Brien"]);
    expect([...(find?.keys ?? [])].sort()).toEqual(["k4", "k6"]);
    expect(find?.spellings).toEqual(["Meyer", "Maier"]);
  });

  it("looks for the most frequent value where all are spelled alike", () => {
    const find = scan(exact, ["b", "a", "c", "a", null]);
    expect(find?.value).toBe("a");
    expect([...(find?.keys ?? [])]).toEqual(["k1", "k3"]);
  });

  it("reads values as the index does", () => {
    expect([...(scan(exact, ["ＡＢ c", "x", "ab  C"])?.keys ?? [])]).toEqual(["k0", "k2"]);
    expect([...(scan(last, ["12-34 56", "777", "٣٤٥٦", "99 34.56"])?.keys ?? [])]).toEqual(["k0", "k2", "k3"]);
    expect([...(scan(exact, [7n, 8n, 7n])?.keys ?? [])]).toEqual(["k0", "k2"]);
  });

  it("passes over values of too many rows", () => {
    const find = scan(exact, [...Array.from({ length: 1_001 }, () => "often"), "twice", "twice", "once"]);
    expect(find?.value).toBe("twice");
  });

  it("takes a value of too many rows when there is no other", () => {
    expect(
      scan(
        exact,
        Array.from({ length: 1_001 }, () => "often"),
      )?.keys.size,
    ).toBe(1_001);
  });

  it("searches nothing when a search might open too many rows", () => {
    expect(
      scan(
        exact,
        Array.from({ length: 100_001 }, () => "often"),
      ),
    ).toBeUndefined();
  });

  it("searches nothing where nothing is", () => {
    expect(scan(exact, [])).toBeUndefined();
    expect(scan(exact, [null, null])).toBeUndefined();
    expect(scan(last, ["1", "22", "333"])).toBeUndefined();
  });

  it("keeps fewer bits where another index over the column tells some already", () => {
    const values = Array.from({ length: 30_000 }, (_, at) => String(10_000 + at));
    const first = scan(exact, values);
    if (first === undefined) throw new Error("nothing to search for");
    expect(first.plan.recommended.bits).toBe(13);
    expect(scan(last, values, [first])?.plan.recommended.bits).toBe(8);
    expect(scan(last, values, [])?.plan.recommended.bits).toBeGreaterThan(8);
  });
});
