import { describe, expect, it } from "vitest";
import { parseColumn, parseIndex, parsePlannedIndex } from "../../src/cli/dataset-definition.ts";
import { formatDuration, parseInstant, parsePastInstant } from "../../src/cli/instants.ts";
import { parsePairs } from "../../src/cli/options.ts";
import { KeysteadError } from "../../src/errors.ts";

const now = Date.parse("2026-06-01T10:00:00Z");

describe("parseInstant", () => {
  it.each([
    ["2027-01-31", "2027-01-31T00:00:00.000Z"],
    ["2027-01-31T12:30:00Z", "2027-01-31T12:30:00.000Z"],
    ["90d", "2026-08-30T10:00:00.000Z"],
    ["12h", "2026-06-01T22:00:00.000Z"],
    ["2w", "2026-06-15T10:00:00.000Z"],
    ["1y", "2027-06-01T10:00:00.000Z"],
  ])("reads %s", (text, instant) => {
    expect(parseInstant(text, now).toISOString()).toBe(instant);
  });

  it.each(["", "tomorrow", "2027-02-29", "2027-13-01", "2027-01-31T12:30", "31.1.2027", "-1d", "90", "1e9d"])("refuses %j", (text) => {
    expect(() => parseInstant(text, now)).toThrow(KeysteadError);
  });
});

describe("parsePastInstant", () => {
  it.each([
    ["2025-01-31", "2025-01-31T00:00:00.000Z"],
    ["90d", "2026-03-03T10:00:00.000Z"],
    ["12h", "2026-05-31T22:00:00.000Z"],
  ])("reads %s", (text, instant) => {
    expect(parsePastInstant(text, now).toISOString()).toBe(instant);
  });

  it("refuses what is no date", () => {
    expect(() => parsePastInstant("yesterday", now)).toThrow(KeysteadError);
  });
});

describe("formatDuration", () => {
  it("has two digits or so", () => {
    expect([320, 4200, 95_000, 1_200_000, 7_500_000].map(formatDuration)).toEqual(["320 ms", "4 s", "95 s", "20 min", "2 h 5 min"]);
  });
});

describe("parsePairs", () => {
  it("splits at the first = and keeps every name as it is", () => {
    const pairs = parsePairs(["row=42", "query=a=b", "empty=", "__proto__=x"], "pair");
    expect(Object.entries(pairs)).toEqual([
      ["row", "42"],
      ["query", "a=b"],
      ["empty", ""],
      ["__proto__", "x"],
    ]);
  });

  it.each(["row=a\ufffd", "r\ufffdw=a"])("refuses %j: other bytes that are not UTF-8 would be the same", (word) => {
    expect(() => parsePairs(["ok=1", word], "pair")).toThrow(/^pair 2 is not UTF-8, .* write it in UTF-8/);
  });

  it("never repeats a value", () => {
    expect(() => parsePairs(["row=secret-1", "row=secret-2"], "pair")).toThrow('pair "row" is given twice');
    expect(() => parsePairs(["ok=1", "secret"], "pair")).toThrow("pair 2 is not name=value");
  });
});

describe("columns and indexes of a dataset", () => {
  it("reads columns", () => {
    expect(parseColumn("email=pii-email")).toEqual(["email", { key: "pii-email" }]);
    expect(parseColumn("email=acme/pii,column=mail address,kind=value")).toEqual([
      "email",
      { key: "acme/pii", column: "mail address", kind: "value" },
    ]);
  });

  it("reads indexes, with what is usual left out", () => {
    expect(parseIndex("email_index=email", "pii-index")).toEqual([
      "email_index",
      { columns: ["email"], column: "email_index", key: "pii-index", kind: "exact", normalisers: ["text"] },
    ]);
    expect(parseIndex("l4=phone,kind=last4,normaliser=phone-DE,bits=9,key=k,column=phone_l4", undefined)).toEqual([
      "l4",
      { columns: ["phone"], column: "phone_l4", key: "k", kind: "last(4)", normalisers: ["phone(DE)"], bits: 9 },
    ]);
    expect(parsePlannedIndex("surname+birth,normaliser=text+digits")).toEqual({
      columns: ["surname", "birth"],
      kind: "compound",
      normalisers: ["text", "digits"],
    });
    expect(parsePlannedIndex("first+last").normalisers).toEqual(["text", "text"]);
  });

  it.each(["email", "=key", "email=", "email=pii,kind=odd", "email=pii,colum=x", "email=pii,kind=value,kind=value", "email=pii,"])(
    "refuses column %s",
    (text) => {
      expect(() => parseColumn(text)).toThrow(KeysteadError);
    },
  );

  it("says what an index lacks", () => {
    expect(() => parseIndex("i=email", undefined)).toThrow("index i names no key");
    expect(() => parseIndex("i=email,bits=many", "k")).toThrow("a index is written");
  });
});
