import { stat } from "node:fs/promises";
import { parse } from "csv-parse/sync";
import { KeysteadError } from "../../errors.ts";
import { nearestName } from "../../nearest-name.ts";
import { isAddress } from "./column-traits.ts";
import { nameColumns } from "./column-names.ts";
import { invalid, readCsvRecords } from "./csv-records.ts";
import type { SampleColumn, SampleRow, TableSource } from "./table-source.ts";

const mostColumns = 500;

/**
 * A table from a CSV file: the first line names the columns, the first column is the key, empty values are NULL.
 *
 * @param columns names of the columns to protect, as one line of CSV; absent: all but the key
 * @throws KeysteadError `INVALID_ARGUMENT` for a file that can't be such a table, saying what to change; never repeats a value
 */
export async function csvSource(path: string, columns: string | undefined): Promise<TableSource> {
  const version = await fileVersion(path);
  const [header, first] = await readStart(path);
  if (header === undefined) throw invalid("it is empty; its first line must name the columns");
  if (first === undefined) throw invalid("it has no rows below its first line, which names the columns");
  if (looksLikeData(header, first)) throw invalid("its first line looks like a row of data; put a line above it that names the columns");
  if (header.length < 2)
    throw invalid("it has a single column, which is the key: nothing is left to protect (columns are separated by , ; | or tab)");
  if (header.length > mostColumns) throw invalid(`it has ${header.length} columns; the tour takes ${mostColumns}`);
  const named = nameColumns(header);
  const chosen =
    columns === undefined
      ? undefined
      : chooseColumns(
          columns,
          named.map(({ name }) => name),
        );
  const [key, ...others] = named.map(({ name, logical }, position): SampleColumn => ({
    name,
    logical,
    type: "TEXT",
    protect: position > 0 && (chosen?.has(name) ?? true),
  }));
  if (key === undefined) throw invalid("it has no columns");
  const renamed = named.filter(({ name }, position) => name !== header[position]?.trim()).length;
  return {
    kind: "csv",
    table: "data",
    columns: [key, ...others],
    notes: renamed === 0 ? [] : [`${renamed} of its columns got another name: theirs was empty, taken or could not be used`],
    rowCount: undefined,
    rows: () => readRows(path, version),
  };
}

/** Differs when the file was written. @throws KeysteadError when there is none that can be read more than once */
async function fileVersion(path: string): Promise<string> {
  const stats = await stat(path).catch((cause: unknown) => {
    throw new KeysteadError("INVALID_ARGUMENT", `the CSV file ${path} can't be read; check the path`, { cause });
  });
  if (stats.isFile()) return `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
  throw new KeysteadError("INVALID_ARGUMENT", `${path} is not a file; the tour reads its CSV more than once, so save it in one`);
}

async function readStart(path: string): Promise<(readonly string[])[]> {
  const records: (readonly string[])[] = [];
  for await (const record of readCsvRecords(path)) if (records.push(record) === 2) break;
  return records;
}

/** True when every column that begins with a number, date or e-mail address has one for a name, too. */
function looksLikeData(header: readonly string[], first: readonly string[]): boolean {
  const telling = header.filter((_, position) => isNumberOrAddress(first[position] ?? ""));
  return telling.length > 0 && telling.every(isNumberOrAddress);
}

function isNumberOrAddress(text: string): boolean {
  return (/^[\s\d.,:/+-]+$/.test(text) && /\d/.test(text)) || isAddress(text);
}

function chooseColumns(list: string, names: readonly string[]): ReadonlySet<string> {
  const [key = "", ...others] = names;
  const wanted = splitNames(list);
  if (wanted.length === 0) throw new KeysteadError("INVALID_ARGUMENT", "--columns names no column; separate names by commas");
  return new Set(
    wanted.map((name) => {
      const found = others.find((other) => other === name) ?? others.find((other) => other.toLowerCase() === name.toLowerCase());
      if (found !== undefined) return found;
      if (name === key)
        throw new KeysteadError(
          "INVALID_ARGUMENT",
          `--columns names ${JSON.stringify(key)}, which is the key and stays readable; leave it out`,
        );
      const near = nearestName([name], others);
      const hint =
        near === undefined ? `it has ${others.map((other) => JSON.stringify(other)).join(", ")}` : `did you mean ${JSON.stringify(near)}?`;
      throw new KeysteadError("INVALID_ARGUMENT", `the CSV file has no column ${JSON.stringify(name)}; ${hint}`);
    }),
  );
}

/** A line of CSV, so that a name may hold a comma inside double quotes. */
function splitNames(list: string): string[] {
  try {
    const [names = []] = parse(list, { trim: true, to: 1 });
    return names.map(String).filter((name) => name !== "");
  } catch {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      "--columns is a list of names separated by commas; put a name that holds one into double quotes",
    );
  }
}

async function* readRows(path: string, version: string): AsyncGenerator<SampleRow, void, undefined> {
  let row = 0;
  for await (const record of readCsvRecords(path)) {
    if (row > 0) {
      if (record[0] === "") throw invalid(`row ${row} (the header not counted) has no key; the first column identifies the row`);
      yield record.map((value) => (value === "" ? null : value));
    }
    row += 1;
  }
  if ((await fileVersion(path)) !== version) throw invalid("it was changed while the tour read it; start the tour again");
}
