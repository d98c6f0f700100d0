import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import fc from "fast-check";
import examples from "libphonenumber-js/examples.mobile.json" with { type: "json" };
import { getCountries, parsePhoneNumberFromString } from "libphonenumber-js/max";
import { describe, expect, it } from "vitest";
import { libraryVersions } from "../../src/fields/library-versions.ts";
import { findNormaliser, normalisers } from "../../src/fields/normalisers.ts";
import { expectError } from "../crypto/support/expect-error.ts";

const folding = ["nfkc", "casefold", "text", "digits", "email", "phone", "phone(DE)"] as const;
const all = ["none", "trim", ...folding] as const;

const normalise = (name: string, text: string): string | undefined => findNormaliser(name).normalise(text);

const anyText = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: "binary" }),
  fc.emailAddress(),
  fc.string({
    unit: fc.constantFrom(
      "i",
      "İ",
      "I",
      "ı",
      "ß",
      "ẞ",
      "Σ",
      "ς",
      "σ",
      "\u0307",
      "\u0345",
      "\u0301",
      "\u00ad",
      " ",
      "\u2003",
      "٣",
      "+",
      "0",
      "@",
      ".",
    ),
  }),
);

/** Every assigned character, but for ideographs and syllables that have nothing to fold. */
const characters = Array.from({ length: 0x110000 }, (_, at) => String.fromCodePoint(at)).filter((character) =>
  /[^\p{Cn}\p{Co}\p{Cs}\p{Unified_Ideograph}\p{Script=Hangul}]/u.test(character),
);

describe("normalisers", () => {
  it.each(all)("%s: a result normalises to itself", (name) => {
    const normaliser = findNormaliser(name);
    fc.assert(
      fc.property(anyText, (text) => {
        const once = normaliser.normalise(text);
        // Of zeros behind a country's code, which no number has there, the library takes one away each time.
        fc.pre(!name.startsWith("phone") || once === undefined || !/^\+(?!39)[1-9]\d{0,2}0/.test(once));
        expect(once === undefined ? undefined : normaliser.normalise(once)).toBe(once);
      }),
      { numRuns: 400 },
    );
  });

  it.each(folding)("%s: canonically equivalent texts come out equal", (name) => {
    const normaliser = findNormaliser(name);
    fc.assert(
      fc.property(anyText, (text) => {
        const result = normaliser.normalise(text);
        expect(normaliser.normalise(text.normalize("NFD"))).toBe(result);
        expect(normaliser.normalise(text.normalize("NFC"))).toBe(result);
      }),
      { numRuns: 400 },
    );
  });

  it.each(all)("%s: nothing is left of nothing", (name) => {
    expect(normalise(name, "")).toBeUndefined();
  });

  it.each(["trim", ...folding])("%s: nothing is left of white space", (name) => {
    expect(normalise(name, " \t\u0085\u00a0\u2003\u3000\n")).toBeUndefined();
  });

  it.each(all)("%s: a lone surrogate is refused, without the value", (name) => {
    expect(expectError("INVALID_ARGUMENT", () => normalise(name, "canary\udc00")).message).not.toContain("canary");
  });

  it.each(["", "Text", "text ", "text()", "text(AU)", "phone(", "phone(XX)", "phone(au)", "constructor", "__proto__", "unknown"])(
    "there is none called %j",
    (name) => {
      expectError("INVALID_ARGUMENT", () => findNormaliser(name));
    },
  );

  it("say which there are when one is unknown", () => {
    const { message } = expectError("INVALID_ARGUMENT", () => findNormaliser("lower"));
    for (const name of Object.keys(normalisers)) expect(message).toContain(name);
  });

  it("carry the argument in their name and the library in their version", () => {
    expect(findNormaliser("phone(AU)")).toMatchObject({
      name: "phone(AU)",
      version: `1/libphonenumber-js@${libraryVersions["libphonenumber-js"]}`,
    });
    expect(findNormaliser("email").version).toBe(`1/validator@${libraryVersions.validator}`);
    expect(findNormaliser("text").version).toBe("1");
  });

  it.each(Object.entries(libraryVersions))("%s is installed and required in version %s", (library, version) => {
    const require = createRequire(import.meta.url);
    const installed = readFileSync(new URL(`../../node_modules/${library}/package.json`, import.meta.url), "utf8");
    expect(JSON.parse(installed)).toMatchObject({ name: library, version });
    expect(require("../../package.json")).toMatchObject({ dependencies: { [library]: version } });
  });
});

describe("none and trim", () => {
  it("keep every code point, but trim those at the ends that are white space", () => {
    expect(normalise("none", " Ａ\u00e9e\u0301 ")).toBe(" Ａ\u00e9e\u0301 ");
    expect(normalise("trim", "\u0085\u3000 Ａ  e\u0301\u2028")).toBe("Ａ  e\u0301");
  });

  it("trim a long run of white space inside in linear time", () => {
    const text = `a${" ".repeat(200_000)}b`;
    expect(normalise("trim", text)).toBe(text);
  });
});

describe("nfkc and casefold", () => {
  it.each([
    ["nfkc", " Ａ１\u3000ﬁ Straße\u00a0", "A1 fi Straße"],
    ["nfkc", "e\u0301  É", "é  É"],
    ["casefold", " Straße  ＡB\n", "strasse  ab"],
    ["casefold", "İSMAİL ΟΔΥΣΣΕΥΣ", "ismail οδυσσευσ"],
  ])("%s: %j comes out as %j", (name, text, expected) => {
    expect(normalise(name, text)).toBe(expected);
  });
});

describe("text", () => {
  it.each([
    ["one space for many, of any kind", "  Maria \t\u00a0\u2003 Elena\u0085", "maria elena"],
    ["NFKC", "Ｍａｒｉａ ﬁ ① ²", "maria fi 1 2"],
    ["ß, ẞ and SS", "Straße", "strasse"],
    ["capital ß", "STRAẞE", "strasse"],
    ["capital SS", "STRASSE", "strasse"],
    ["final sigma", "ΟΔΥΣΣΕΥΣ", "οδυσσευσ"],
    ["medial sigma at the end", "οδυσσευς", "οδυσσευσ"],
    ["a lone sigma", "Σ", "σ"],
    ["dotless i", "ısmaıl", "ismail"],
    ["dotted capital I", "İSMAİL", "ismail"],
    ["dotted capital I in two code points", "I\u0307SMAI\u0307L", "ismail"],
    ["plain capital I", "ISMAIL", "ismail"],
    ["soft hyphens, joiners and direction marks", "Ma\u00adr\u200di\u200ea\ufeff", "maria"],
    ["ligature capital", "ǅ", "dž"],
    ["upper case that only exists as two letters", "ŉ", "ʼn"],
    ["Cherokee", "Ꭰꭰ", "ꭰꭰ"],
    ["Deseret, beyond the first plane", "𐐀", "𐐨"],
    ["Arabic", "محمّد", "محمّد"],
    ["Devanagari", "प्रिया", "प्रिया"],
  ])("%s", (_, text, expected) => {
    expect(normalise("text", text)).toBe(expected);
  });

  it("is idempotent and blind to case and composition for every character there is", () => {
    const fold = (text: string): string | undefined => normalise("text", text);
    const broken = characters.filter((character) => {
      const folded = fold(`x${character}x`);
      const composed = `x${character}x`.normalize("NFC");
      return (
        folded === undefined ||
        [folded, composed.toUpperCase(), composed.toLowerCase(), composed.normalize("NFD")].some((variant) => fold(variant) !== folded)
      );
    });
    expect(broken).toEqual([]);
  });

  it("does not change with the language of the machine", () => {
    expect("I".toLocaleLowerCase("tr")).toBe("ı");
    expect(normalise("text", "I")).toBe("i");
  });
});

describe("digits", () => {
  it("maps the decimal digits of every script, each run of ten in order", () => {
    const digits = characters.filter((character) => /\p{Nd}/u.test(character));
    expect(digits.length % 10).toBe(0);
    expect(digits.length).toBeGreaterThan(700);
    expect(normalise("digits", digits.join(""))).toBe("0123456789".repeat(digits.length / 10));
  });

  it.each([
    ["123-45-6789", "123456789"],
    ["١٢٣٤٥٦٧٨٩٠", "1234567890"],
    ["𝟏𝟐𝟑", "123"],
    ["No. ② 7³", "7"],
    ["none", undefined],
  ])("%j gives %j", (text, expected) => {
    expect(normalise("digits", text)).toBe(expected);
  });
});

describe("email", () => {
  it.each([
    ["case of both sides", " Anna.Bell@EXAMPLE.org ", "anna.bell@example.org"],
    ["dots and tags stay", "a.b+tag@gmail.com", "a.b+tag@gmail.com"],
    ["googlemail stays", "anna@googlemail.com", "anna@googlemail.com"],
    ["IDNA", "anna@straße.de", "anna@xn--strae-oqa.de"],
    ["IDNA that is ASCII already", "anna@XN--STRAE-OQA.de", "anna@xn--strae-oqa.de"],
    ["another domain than with ss", "anna@strasse.de", "anna@strasse.de"],
    ["local part beyond ASCII", "ÅSE@例え.jp", "åse@xn--r8jz45g.jp"],
    ["full width", "ａｎｎａ＠ｅｘａｍｐｌｅ．ｏｒｇ", "anna@example.org"],
    ["not an address: as text", "  Anna  AT example ", "anna at example"],
    ["no public domain: as text", "Root@LOCALHOST", "root@localhost"],
    ["what only folding makes an address", "i@Σ.ẞ", "i@xn--4xa.ss"],
    ["two @: as text", "a@B@example.org", "a@b@example.org"],
    ["a domain that IDNA refuses: as text", "anna@xn--a.DE", "anna@xn--a.de"],
  ])("%s", (_, text, expected) => {
    expect(normalise("email", text)).toBe(expected);
  });
});

describe("phone", () => {
  it.each([
    ["national", "phone(AU)", "0412 345 678", "+61412345678"],
    ["international", "phone(AU)", "+44 20 7946 0958", "+442079460958"],
    ["international prefix of the country", "phone(AU)", "0011 44 20 7946 0958", "+442079460958"],
    ["trunk zero in brackets", "phone(DE)", "+49 (0)30 901820", "+4930901820"],
    ["digits of another script", "phone(AU)", "٠٤١٢ ٣٤٥ ٦٧٨", "+61412345678"],
    ["full width", "phone(AU)", "＋６１ ４１２ ３４５ ６７８", "+61412345678"],
    ["extension left out", "phone(AU)", "02 9374 4000 ext. 12", "+61293744000"],
    ["words around it", "phone(AU)", "0412 345 678 (home)", "+61412345678"],
    ["without a country: international only", "phone", "+61 412 345 678", "+61412345678"],
    ["without a country: national as digits", "phone", "0412 345 678", "0412345678"],
    ["too short: as digits", "phone(AU)", "12-3", "123"],
    ["too long: as digits", "phone(AU)", "0412 345 678 / 0411 111 111", "04123456780411111111"],
    ["a range that is not in service", "phone(AU)", "02 5550 1234", "+61255501234"],
    ["a mobile range that nobody has", "phone(AU)", "0500 000 000", "+61500000000"],
    ["more than a number", "phone(AU)", "0412 345 678 until 2025", "04123456782025"],
    ["the leading zero of Italy", "phone(IT)", "06 698 12345", "+390669812345"],
    ["another country's default", "phone(NZ)", "021 123 4567", "+64211234567"],
    ["nothing", "phone(AU)", "unknown", undefined],
  ])("%s", (_, name, text, expected) => {
    expect(normalise(name, text)).toBe(expected);
  });

  it("reads numbers of every country as the full metadata do, however they are written", () => {
    const numberByCountry: Readonly<Record<string, string>> = examples;
    const different = getCountries().flatMap((country) => {
      const number = parsePhoneNumberFromString(numberByCountry[country] ?? "", country);
      const read = (text: string): string | undefined => normalise(`phone(${country})`, text);
      const written = [number?.formatNational(), number?.formatInternational(), number?.nationalNumber, number?.number];
      return written.filter((text) => text === undefined || read(text) !== number?.number).map((text) => [country, text]);
    });
    expect(different).toEqual([]);
  });
});
