import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findIndexKind, indexKinds } from "../../src/fields/index-kinds.ts";
import { expectError } from "../crypto/support/expect-error.ts";

describe("kinds of index", () => {
  it.each([
    "",
    "Exact",
    "exact(1)",
    "soundex(4)",
    "last",
    "last()",
    "last(0)",
    "last(65)",
    "last(100)",
    "last(-1)",
    "last(04)",
    "last(4",
    "last(x)",
    "toString",
  ])("there is none called %j", (name) => {
    expectError("INVALID_ARGUMENT", () => findIndexKind(name));
  });

  it("say which there are when one is unknown", () => {
    const { message } = expectError("INVALID_ARGUMENT", () => findIndexKind("prefix"));
    for (const name of Object.keys(indexKinds)) expect(message).toContain(name);
  });

  it.each([
    ["exat", "exact"],
    ["lst(4)", "last(4)"],
    ["lats4", "last(4)"],
    ["metahpone", "metaphone"],
  ])("say for %s that %s was meant", (name, meant) => {
    const { message } = expectError("INVALID_ARGUMENT", () => findIndexKind(name));
    expect(message).toContain(`did you mean ${meant}? use one of exact, last(4), soundex, metaphone, compound`);
  });

  it("keep their argument in the name", () => {
    expect(findIndexKind("last(4)").name).toBe("last(4)");
    expect(findIndexKind("last(64)").name).toBe("last(64)");
  });

  it("exact and compound take values as they are", () => {
    expect(findIndexKind("exact").values(["anna"])).toEqual(["anna"]);
    expect(findIndexKind("compound").values(["anna", "1980"])).toEqual(["anna", "1980"]);
    expect(findIndexKind("compound").queries(["anna", "1980"])).toEqual([["anna", "1980"]]);
  });

  it.each([
    ["last(4)", "123456789", "6789"],
    ["last(4)", "6789", "6789"],
    ["last(2)", "x𝟏𝟐", "𝟏𝟐"],
    ["last(2)", "𝟏𝟐a", "𝟐a"],
    ["last(1)", "👍🏽", "🏽"],
    ["last(3)", "नमस्ते", "्ते"],
  ])("%s of %s is %s", (kind, value, end) => {
    expect(findIndexKind(kind).values([value])).toEqual([end]);
    expect(findIndexKind(kind).queries([value])).toEqual([[end]]);
  });

  it("last(n) cuts between code points, never within one", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 64 }), (text, count) => {
        const characters = Array.from(text);
        const expected = characters.length < count ? undefined : [characters.slice(-count).join("")];
        expect(findIndexKind(`last(${count})`).values([text])).toEqual(expected);
      }),
    );
  });

  it("last(n) gives shorter values no token and refuses shorter searches", () => {
    const kind = findIndexKind("last(4)");
    expect(kind.values(["789"])).toBeUndefined();
    expect(kind.values(["𝟕𝟖𝟗"])).toBeUndefined();
    expect(expectError("INVALID_ARGUMENT", () => kind.queries(["789"])).message).not.toContain("789");
  });
});
