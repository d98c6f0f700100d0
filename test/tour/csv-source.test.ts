import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { csvSource } from "../../src/cli/tour/csv-source.ts";
import type { SampleRow } from "../../src/cli/tour/table-source.ts";
import { KeysteadError } from "../../src/errors.ts";
import { canaries } from "../setup/canary.ts";
import { csvFile, temporaryFolder } from "./support/temporary.ts";

async function read(
  content: string | Uint8Array,
  columns?: string,
): Promise<{ names: string[]; protectedNames: string[]; rows: SampleRow[]; notes: readonly string[] }> {
  const source = await csvSource(csvFile(content), columns);
  return {
    names: source.columns.map(({ name }) => name),
    protectedNames: source.columns.filter(({ protect }) => protect).map(({ name }) => name),
    rows: await Array.fromAsync(source.rows()),
    notes: source.notes,
  };
}

async function refusal(content: string | Uint8Array, columns?: string): Promise<KeysteadError> {
  const error: unknown = await read(content, columns).catch((caught: unknown) => caught);
  if (error instanceof KeysteadError) return error;
  throw new Error("it was not refused");
}

describe("a CSV file", () => {
  it("gives its columns and rows, empty values as NULL", async () => {
    const { names, protectedNames, rows, notes } = await read("id,name,city\n1,Ada,\n2,,Bern\n");
    expect(names).toEqual(["id", "name", "city"]);
    expect(protectedNames).toEqual(["name", "city"]);
    expect(rows).toEqual([
      ["1", "Ada", null],
      ["2", null, "Bern"],
    ]);
    expect(notes).toEqual([]);
  });

  it.each([
    ["LF", "id,name\n1,a\n2,b\n"],
    ["CRLF", "id,name\r\n1,a\r\n2,b\r\n"],
    ["CR", "id,name\r1,a\r2,b\r"],
    ["mixed", "id,name\r\n1,a\n2,b"],
    ["no line break at the end", "id,name\n1,a\n2,b"],
    ["empty lines", "\nid,name\n\n1,a\n\r\n2,b\n\n"],
    ["a byte order mark", "\ufeffid,name\n1,a\n2,b\n"],
    ["semicolons", "id;name\n1;a\n2;b\n"],
    ["tabs", "id\tname\n1\ta\n2\tb\n"],
    ["bars", "id|name\n1|a\n2|b\n"],
    ["quotes", '"id","name"\n"1","a"\n"2","b"\n'],
    ["spaces around names", " id , name\n1,a\n2,b\n"],
  ])("is read with %s", async (_, content) => {
    const { names, rows } = await read(content);
    expect(names).toEqual(["id", "name"]);
    expect(rows).toEqual([
      ["1", "a"],
      ["2", "b"],
    ]);
  });

  it("may hold separators, quotes and line breaks in quoted values, which stay as they are", async () => {
    const { names, rows } = await read('id,"last; ""first"";;"\n1,"a,b"\n2,"two\r\nlines ""quoted"" "\n');
    expect(names).toEqual(["id", 'last; "first";;']);
    expect(rows).toEqual([
      ["1", "a,b"],
      ["2", 'two\r\nlines "quoted" '],
    ]);
  });

  it("reads what was written", async () => {
    const cell = fc.string({ unit: "grapheme", maxLength: 12 }).filter((text) => text.isWellFormed() && !text.startsWith("\ufeff"));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 8 }), async (values) => {
        const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
        const lines = values.map(([a, b], at) => `${at},${quoted(a)},${quoted(b)}`);
        const { rows } = await read(`key,a,b\n${lines.join("\n")}\n`);
        expect(rows).toEqual(values.map(([a, b], at) => [String(at), a || null, b || null]));
      }),
      { numRuns: 50 },
    );
  });

  it("protects the named columns alone, in whatever case they are given", async () => {
    expect((await read("id,Name,Last Name,city\n1,a,b,c\n", "last name,Name")).protectedNames).toEqual(["Name", "Last Name"]);
    expect((await read('id,"a,b",c\n1,x,y\n', '"a,b"')).protectedNames).toEqual(["a,b"]);
  });

  it("says when columns got other names", async () => {
    const { names, notes } = await read("id,name,Name,\n1,a,b,c\n");
    expect(names).toEqual(["id", "name", "Name (2)", "column_4"]);
    expect(notes).toEqual([expect.stringContaining("2 of its columns")]);
  });

  it.each([
    ["an empty file", "", /empty/],
    ["blank lines", "\n\r\n\n", /empty/],
    ["a header alone", "id,name\n", /no rows/],
    ["no header", "1,Ada,1990-01-01\n2,Bo,1991-02-02\n", /looks like a row of data/],
    ["no header but addresses", "Ada,ada@example.org\nBo,bo@example.org\n", /looks like a row of data/],
    ["one column", "name\nAda\n", /single column/],
    ["a short line", "id,name\n1,a\n2\n", /line 3 has not as many values/],
    ["a long line", "id,name\n1,a\n2,b,c\n", /line 3 has not as many values/],
    ["a quote that never ends", 'id,name\n1,"a\n2,b\n', /never ends/],
    ["text after a closing quote", 'id,name\n1,"a"b\n', /line 2 has text right after/],
    ["a quote inside a value", 'id,name\n1,a"b"\n', /line 2 has a double quote in the middle/],
    ["a row without a key", "id,name\n1,a\n,b\n", /row 2 .* has no key/],
    ["Latin-1", Buffer.from("id,name\n1,Müller\n", "latin1"), /not UTF-8/],
    ["UTF-16", Buffer.from("\ufeffid,name\n1,a\n", "utf16le"), /not UTF-8/],
    ["half a character at its end", Buffer.from("id,name\n1,ü").subarray(0, -1), /not UTF-8/],
    ["501 columns", `${Array.from({ length: 501 }, (_, at) => `c${at}`).join(",")}\n${",".repeat(500)}\n`, /501 columns/],
  ])("is refused with %s", async (_, content, words) => {
    const error = await refusal(content);
    expect(error.code).toBe("INVALID_ARGUMENT");
    expect(error.message).toMatch(words);
  });

  it("is refused without repeating a value", async () => {
    const secret = canaries.name.text;
    for (const content of [
      `id,name\n1,${secret},2\n`,
      `id,name\n1,"${secret}" x\n`,
      `id,name\n1,a"${secret}"\n`,
      `id,name\n1,"${secret}\n`,
      `1,${secret}\n2,a\n`,
    ]) {
      const error = await refusal(content);
      expect(inspect(error, { depth: null, showHidden: true })).not.toContain(secret);
    }
  });

  it.each([
    ["nmae", /no column "nmae"; did you mean "name"\?/],
    ["zzzzzzzz", /it has "name", "city"/],
    ["id", /"id", which is the key/],
    ["", /names no column/],
    ['"name', /separated by commas/],
  ])("is refused with --columns %j", async (columns, words) => {
    expect((await refusal("id,name,city\n1,a,b\n", columns)).message).toMatch(words);
  });

  it("must be a file that can be read again", async () => {
    const folder = temporaryFolder();
    await expect(csvSource(join(folder, "absent.csv"), undefined)).rejects.toThrow(/can't be read/);
    mkdirSync(join(folder, "folder.csv"));
    await expect(csvSource(join(folder, "folder.csv"), undefined)).rejects.toThrow(/is not a file/);
  });

  it("is not read to its end when somebody changes it meanwhile", async () => {
    const path = csvFile("id,name\n1,a\n");
    const source = await csvSource(path, undefined);
    appendFileSync(path, "2,b\n");
    await expect(Array.fromAsync(source.rows())).rejects.toThrow(/was changed/);
  });

  it("gives its rows from the start each time", async () => {
    const source = await csvSource(csvFile("id,name\n1,a\n2,b\n"), undefined);
    const [first] = await Array.fromAsync(source.rows());
    for await (const row of source.rows()) {
      expect(row).toEqual(first);
      break;
    }
    expect(await Array.fromAsync(source.rows())).toHaveLength(2);
  });
});
