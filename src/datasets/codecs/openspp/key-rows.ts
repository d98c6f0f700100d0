import { KeysteadError } from "../../../errors.ts";
import { cellToKeyText } from "../../cells.ts";
import type { CodecSurroundings } from "../../codec.ts";
import { readSecretFile } from "../key-source.ts";
import type { OpensppOptions } from "./options.ts";

const longestFile = 16 * 1024 * 1024;
const mostRows = 100_000;
const columns = ["key_id", "version", "encrypted_key"] as const;

/** A row of `spp_encryption_key`: one version of a data key, wrapped. */
export interface KeyRow {
  readonly keyId: string;
  readonly version: number;
  /** Base64 of the wrapped key. */
  readonly wrapped: string;
}

/**
 * The rows of `spp_encryption_key`, from a CSV file with a header line or from the table itself.
 * @throws KeysteadError `INVALID_ARGUMENT`, `INSECURE_FILE`, and what the database says
 */
export async function readKeyRows({ keyRows }: OpensppOptions, surroundings: CodecSurroundings): Promise<KeyRow[]> {
  const texts = "file" in keyRows ? await readCsv(keyRows.file, surroundings.name) : await readTable(keyRows, surroundings);
  return texts.map(([keyId, version, wrapped], position) => {
    const number = /^[1-9]\d{0,8}$/.test(version ?? "") ? Number(version) : undefined;
    if (keyId !== undefined && number !== undefined && wrapped !== undefined) return { keyId, version: number, wrapped };
    throw invalid(
      surroundings.name,
      `row ${String(position + 1)} of spp_encryption_key lacks ${columns.join(", ")} or its version is no number`,
    );
  });
}

async function readTable(
  { database, table, keyColumns }: Extract<OpensppOptions["keyRows"], { readonly database: string }>,
  { name, readTable: read }: CodecSurroundings,
): Promise<(string | undefined)[][]> {
  const rows = await read({ database, table, keyColumns, columns, limit: mostRows });
  if (rows.length === mostRows) throw invalid(name, `${table} has ${String(mostRows)} rows or more; export those of the key to a CSV file`);
  return rows.map((cells) => cells.map(cellToKeyText));
}

async function readCsv(file: string, name: string): Promise<(string | undefined)[][]> {
  const { parse } = await import("csv-parse/sync");
  const content = await readSecretFile(file, longestFile, { codec: name, what: "key rows" });
  let records: string[][];
  try {
    records = parse(content, { bom: true, skip_empty_lines: true });
  } catch {
    throw invalid(name, `${file} is not CSV; export it as the documentation says`);
  }
  const [header = [], ...rows] = records;
  const places = columns.map((column) => header.indexOf(column));
  if (places.includes(-1)) throw invalid(name, `the first line of ${file} must name the columns ${columns.join(", ")}`);
  return rows.map((row) => places.map((place) => row[place]));
}

function invalid(codec: string, problem: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", `codec ${codec}: ${problem}`);
}
