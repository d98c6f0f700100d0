import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyMask, maskProblem, parseMask } from "../../src/access/mask.ts";
import { KeysteadError } from "../../src/errors.ts";

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

function clusters(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

describe("a mask", () => {
  it.each([
    ["***-**-{last:4}", "078-05-1120", "***-**-1120"],
    ["{first:2}…{last:2}", "DE02120300000000202051", "DE…51"],
    ["{last:2}/{first:1}", "abcdef", "ef/a"],
    ["***", "anything", "***"],
    ["last", "anything", "last"],
    ["first{first:1}", "anything", "firsta"],
    ["{first:1}*", "👩‍👩‍👧‍👦b", "👩‍👩‍👧‍👦*"],
    ["*{last:2}", "xyzn\u0303e\u0301", "*n\u0303e\u0301"],
    ["*{last:2}", "a🇩🇪🇫🇷🇮🇹", "*🇫🇷🇮🇹"],
  ])("%s of %s", (mask, value, shown) => {
    expect(applyMask(parseMask(mask), value)).toBe(shown);
  });

  it.each([
    ["***-**-{last:4}", "1234567", "***-**-****"],
    ["***-**-{last:4}", "12345678", "***-**-5678"],
    ["{first:2}{last:2}", "1234567", "****"],
    ["{first:1}", "", "*"],
    ["{last:1}", "👩‍👩‍👧‍👦", "*"],
  ])("%s shows of a value at most half: %s", (mask, value, shown) => {
    expect(applyMask(parseMask(mask), value)).toBe(shown);
  });

  it.each([
    ["", "must have 1 to 64 characters"],
    ["x".repeat(65), "must have 1 to 64 characters"],
    ["a\nb", "no control characters"],
    ["\ud800", "no control characters"],
    ["{last:0}", "at most one {first:N} and one {last:N}"],
    ["{last:17}", "at most one {first:N} and one {last:N}"],
    ["{last:04}", "at most one {first:N} and one {last:N}"],
    ["{middle:2}", "at most one {first:N} and one {last:N}"],
    ["{last:2", "at most one {first:N} and one {last:N}"],
    ["{}", "at most one {first:N} and one {last:N}"],
    ["{last:2}{last:2}", "one {first:N} and one {last:N}"],
  ])("that is malformed is refused with what a mask is: %j", (mask, problem) => {
    expect(() => parseMask(mask)).toThrow(new KeysteadError("INVALID_ARGUMENT", `the mask ${maskProblem(mask) ?? ""}`));
    expect(maskProblem(mask)).toContain(problem);
  });

  // Neither values nor masks have `*` or the mask's own letters by themselves, so that what comes out can be told apart.
  const count = fc.option(fc.integer({ min: 1, max: 16 }), { nil: 0 });
  const maskOf = (first: number, last: number): string =>
    `#${first === 0 ? "" : `{first:${String(first)}}`}-${last === 0 ? "" : `{last:${String(last)}}`}#`;

  it("shows nothing of a value but its first and last characters, and never more than half of it", () => {
    const value = fc.oneof(fc.string({ unit: "grapheme-composite", maxLength: 80 }), fc.string({ unit: "binary", maxLength: 40 }));
    fc.assert(
      fc.property(count, count, value, (first, last, text) => {
        const all = clusters(text);
        const isShown = all.length >= 2 * (first + last);
        const start = isShown ? all.slice(0, first).join("") : "*".repeat(first);
        const end = last === 0 ? "" : isShown ? all.slice(-last).join("") : "*".repeat(last);
        expect(applyMask(parseMask(maskOf(first, last)), text)).toBe(`#${start}-${end}#`);
      }),
      { numRuns: 200 },
    );
  });

  it("gives the same length whatever the length of the value", () => {
    const value = fc.string({ unit: fc.constantFrom("a", "b", "7", "é"), maxLength: 100 });
    fc.assert(
      fc.property(count, count, value, (first, last, text) => {
        expect(applyMask(parseMask(maskOf(first, last)), text)).toHaveLength(3 + first + last);
      }),
      { numRuns: 500 },
    );
  });

  it("says the same of values that differ only where it does not show them", () => {
    const part = fc.string({ unit: fc.constantFrom("a", "b", "c", "d"), maxLength: 40 });
    const edge = fc.string({ unit: fc.constantFrom("x", "y"), minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(count, count, edge, edge, part, part, (first, last, before, after, one, other) => {
        const mask = parseMask(maskOf(first, last));
        const filler = "-".repeat(32);
        expect(applyMask(mask, before + filler + one + after)).toBe(applyMask(mask, before + filler + other + after));
      }),
    );
  });

  it("does not read a long value whole", () => {
    const long = `${"ab".repeat(8_000_000)}1234`;
    const start = performance.now();
    expect(applyMask(parseMask("{first:2}*{last:4}"), long)).toBe("ab*1234");
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});
