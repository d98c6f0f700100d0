import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeUtf8 } from "../../src/crypto/text.ts";
import type { Cell } from "../../src/datasets/source.ts";
import { canonicalText, type CanonicalType } from "../../src/fields/canonical-text.ts";
import {
  compileContextTemplate,
  type ContextColumns,
  contextOfColumn,
  type ContextTemplate,
  renderContext,
} from "../../src/fields/context-template.ts";
import { cellValue } from "../../src/fields/stored-cell.ts";
import { expectError } from "../crypto/support/expect-error.ts";
import { canaries } from "../setup/canary.ts";

const render = (template: ContextTemplate, values: Record<string, unknown>, columns: ContextColumns = Object.keys(values)) =>
  renderContext(compileContextTemplate(template, columns), values);

describe("canonical text", () => {
  it.each<[unknown, CanonicalType | undefined, string]>([
    [42, undefined, "42"],
    [-0, undefined, "0"],
    [-(2 ** 53 - 1), undefined, "-9007199254740991"],
    [2n ** 64n, undefined, "18446744073709551616"],
    ["007", undefined, "007"],
    ["007", "integer", "7"],
    ["-0", "integer", "0"],
    [true, undefined, "true"],
    [0n, "boolean", "false"],
    [1, "boolean", "true"],
    ["12.500", "numeric", "12.5"],
    ["-0.00", "numeric", "0"],
    ["+0012", "numeric", "12"],
    ["1e3", "numeric", "1000"],
    ["12.5E-3", "numeric", "0.0125"],
    ["0.00012e2", "numeric", "0.012"],
    ["123456789012345678901234567890.10", "numeric", "123456789012345678901234567890.1"],
    [7n, "numeric", "7"],
    ["0197A3C2-5D1E-7000-8000-00000000000F", "uuid", "0197a3c2-5d1e-7000-8000-00000000000f"],
    ["2024-02-29", "date", "2024-02-29"],
    [new Date("2024-02-29T12:34:56.789Z"), undefined, "2024-02-29T12:34:56.789000Z"],
    ["2024-02-29 12:34:56.1234+00", "timestamptz", "2024-02-29T12:34:56.123400Z"],
    ["2024-02-29T12:34:56.000001Z", "timestamptz", "2024-02-29T12:34:56.000001Z"],
    ["2024-03-01 00:04:56+05:30", "timestamptz", "2024-02-29T18:34:56.000000Z"],
    ["2024-02-29 22:00:00-0330", "timestamptz", "2024-03-01T01:30:00.000000Z"],
    ["  Ａ e\u0301", undefined, "  Ａ e\u0301"],
    ["", undefined, ""],
    [Uint8Array.of(0xfb, 0xff, 0), undefined, "-_8A"],
  ])("of %o as %s is %j", (value, type, text) => {
    expect(canonicalText(value, "value", type)).toBe(text);
  });

  it.each<[unknown, CanonicalType | undefined]>([
    [null, undefined],
    [undefined, undefined],
    [1.5, undefined],
    [2 ** 53, undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    [new Date(Number.NaN), undefined],
    [new Date("+012345-01-01T00:00:00Z"), undefined],
    [{}, undefined],
    [[], undefined],
    [Symbol("x"), undefined],
    ["1.0", "integer"],
    ["", "integer"],
    ["1".repeat(1_001), "integer"],
    [1.5, "numeric"],
    ["NaN", "numeric"],
    ["Infinity", "numeric"],
    ["1e9999", "numeric"],
    ["1e-999999999", "numeric"],
    [".5", "numeric"],
    ["true", "boolean"],
    [2n, "boolean"],
    ["0197a3c25d1e70008000000000000001", "uuid"],
    ["2023-02-29", "date"],
    ["2024-2-9", "date"],
    ["2024-02-29T00:00:00Z", "date"],
    ["2024-02-29 12:34:56", "timestamptz"],
    ["2023-02-29 12:34:56Z", "timestamptz"],
    ["2024-02-29 12:60:00Z", "timestamptz"],
    ["2024-02-29 12:34:56.1234567Z", "timestamptz"],
    ["infinity", "timestamptz"],
    [7, "text"],
    ["text", "bytes"],
  ])("of %o as %s is refused", (value, type) => {
    expectError("INVALID_ARGUMENT", () => canonicalText(value, "value", type));
  });

  it("of numeric is the same for every way to write a number, and reads back", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
        fc.integer({ min: -40, max: 40 }),
        fc.nat(5),
        (digits, exponent, zeros) => {
          const text = canonicalText(`${digits}e${exponent}`, "value", "numeric");
          const scaled = `${digits}${"0".repeat(zeros)}e${exponent - zeros}`;
          expect(canonicalText(scaled, "value", "numeric")).toBe(text);
          expect(canonicalText(text, "value", "numeric")).toBe(text);
          expect(text).toMatch(/^(?:0|-?(?:0|[1-9]\d*)\.\d*[1-9]|-?[1-9]\d*)$/);
          expect(Number(text)).toBe(Number(`${digits}e${exponent}`));
        },
      ),
    );
  });

  it("of an instant is the same from a Date and from any zone", () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date("0001-01-02"), max: new Date("9999-12-30"), noInvalidDate: true }),
        fc.integer({ min: -719, max: 719 }),
        (date, minutes) => {
          const local = new Date(date.getTime() + minutes * 60_000).toISOString().slice(0, 23);
          const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60].map((part) => String(part).padStart(2, "0"));
          const zoned = `${local}${minutes < 0 ? "-" : "+"}${String(hours)}:${String(rest)}`;
          expect(canonicalText(zoned, "value", "timestamptz")).toBe(canonicalText(date, "value"));
        },
      ),
    );
  });
});

describe("context templates", () => {
  it("render static pairs, columns and the automatic column", () => {
    const template = compileContextTemplate(
      { table: "person", row: "{id}", tenant: "t/{tenant}" },
      { id: "integer", tenant: "text", other: "uuid" },
    );
    expect(template.columns).toEqual(["id", "tenant"]);
    const row = renderContext(template, { id: 7n, tenant: "a", other: null });
    expect(row).toEqual({ table: "person", row: "7", tenant: "t/a" });
    expect(renderContext(template, { id: "7", tenant: "a" }, "email")).toEqual({ ...row, column: "email" });
    expect(contextOfColumn(row, "email")).toEqual({ ...row, column: "email" });
    expect(render({}, {})).toEqual({});
  });

  it.each([
    ["{{id}}", "{id}"],
    ["{{{id}}}", "{7}"],
    ["}}{{", "}{"],
    ["a{{b}}{id}c{{}}", "a{b}7c{}"],
    ["", ""],
    ["ünï {id}", "ünï 7"],
  ])("%j gives %j", (text, expected) => {
    expect(render({ pair: text }, { id: 7 })).toEqual({ pair: expected });
  });

  it("never takes braces in a value for a placeholder", () => {
    expect(render({ a: "{x}", b: "{y}" }, { x: "{y}", y: "{{" })).toEqual({ a: "{y}", b: "{{" });
  });

  it("take any column and pair name, also those that objects have", () => {
    const names = ["constructor", "toString", "with space", "ü", "a.b"];
    for (const name of names) expect(render({ [name]: `{${name}}` }, { [name]: 1 })).toEqual({ [name]: "1" });
    expectError("INVALID_ARGUMENT", () => render({ pair: "{constructor}" }, {}, ["constructor"]));
    expect(Object.entries(render(JSON.parse('{"__proto__":"x"}') as ContextTemplate, {}))).toEqual([["__proto__", "x"]]);
  });

  it.each<[string, ContextTemplate]>([
    ["an unknown column", { row: "{nr}" }],
    ["an empty column", { row: "{}" }],
    ["a column in other case", { row: "{ID}" }],
    ["a lone opening brace", { row: "{id" }],
    ["a lone closing brace", { row: "id}" }],
    ["an escaped brace that leaves a lone one", { row: "{{id}" }],
    ["two columns in a pair", { row: "{id}-{tenant}" }],
    ["a column twice in a pair", { row: "{id}{id}" }],
    ["the automatic pair", { column: "x" }],
    ["an empty name", { "": "x" }],
    ["a long name", { ["ü".repeat(128)]: "x" }],
    ["a lone surrogate in a name", { "\ud800": "x" }],
    ["a lone surrogate in a text", { row: "\ud800" }],
    ["too many pairs", Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`p${at}`, "x"]))],
    ["a value that is no text", JSON.parse('{"row":7}') as ContextTemplate],
  ])("are refused when they are made for %s", (_, template) => {
    expectError("INVALID_ARGUMENT", () => compileContextTemplate(template, ["id", "tenant"]));
  });

  it.each([null, undefined, 1.5, Number.NaN, {}, new Date(Number.NaN)])("refuse the value %o and name its column", (value) => {
    expect(expectError("INVALID_ARGUMENT", () => render({ row: "{id}" }, { id: value })).message).toContain("context column id");
  });

  it("never show a value in an error", () => {
    const { name } = canaries;
    expect(expectError("INVALID_ARGUMENT", () => render({ row: "{id}" }, { id: name.text }, { id: "uuid" })).message).not.toContain(
      name.text,
    );
    expect(expectError("INVALID_ARGUMENT", () => render({ row: "{id}" }, { id: [name.text] })).message).not.toContain(name.text);
  });

  it("give different rows different contexts", () => {
    const template = compileContextTemplate({ a: "{x}", b: "b{y}" }, ["x", "y"]);
    fc.assert(
      fc.property(fc.tuple(fc.string(), fc.string()), fc.tuple(fc.string(), fc.string()), ([x, y], [p, q]) => {
        const same = JSON.stringify(renderContext(template, { x, y })) === JSON.stringify(renderContext(template, { x: p, y: q }));
        expect(same).toBe(x === p && y === q);
      }),
    );
  });
});

describe("cells of a database", () => {
  it.each<[Cell, unknown, CanonicalType | undefined]>([
    [{ type: "integer", value: 7n }, 7, undefined],
    [{ type: "integer", value: 2n ** 60n }, 2n ** 60n, undefined],
    [{ type: "integer", value: 1n }, true, "boolean"],
    [{ type: "text", bytes: encodeUtf8("\ufeffünï", "text") }, "\ufeffünï", undefined],
    [{ type: "text", bytes: encodeUtf8("1.50", "text") }, "1.5", "numeric"],
    [{ type: "text", bytes: encodeUtf8("0197A3C2-5D1E-7000-8000-000000000001", "text") }, "0197a3c2-5d1e-7000-8000-000000000001", "uuid"],
    [{ type: "blob", bytes: Uint8Array.of(1, 2, 255) }, Buffer.from([1, 2, 255]), undefined],
  ])("give the same context as a record: %o", (cell, value, type) => {
    const template = compileContextTemplate({ row: "{id}" }, type === undefined ? ["id"] : { id: type });
    expect(renderContext(template, { id: cellValue(cell, "column id") })).toEqual(renderContext(template, { id: value }));
  });

  it.each<Cell>([
    { type: "real", value: 1.5 },
    { type: "real", value: 5 },
    { type: "text", bytes: Uint8Array.of(0xff) },
  ])("refuse %o", (cell) => {
    expect(expectError("INVALID_ARGUMENT", () => cellValue(cell, "column id")).message).toContain("column id");
  });

  it("that are NULL are refused by the template", () => {
    expectError("INVALID_ARGUMENT", () => render({ row: "{id}" }, { id: cellValue({ type: "null" }, "column id") }));
  });
});
