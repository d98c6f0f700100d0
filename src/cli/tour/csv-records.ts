import { createReadStream } from "node:fs";
import { pipeline } from "node:stream";
import { CsvError, parse, type Parser } from "csv-parse";
import { KeysteadError } from "../../errors.ts";

/** The longest line that is read, in characters. */
const longestRecord = 8 * 1024 * 1024;

const separators = [",", ";", "\t", "|"] as const;

/** What the parser refuses, and what to do about it. Its own messages repeat values, so nobody sees them. */
const problems: Readonly<Record<string, string>> = {
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH:
    "has not as many values as the header has names; put values that hold the separator into double quotes",
  CSV_QUOTE_NOT_CLOSED: "begins a value in double quotes that never ends; close it, or double the quote",
  CSV_INVALID_CLOSING_QUOTE: "has text right after a closing double quote; double the quotes inside a value",
  INVALID_OPENING_QUOTE: "has a double quote in the middle of a value; put the whole value into double quotes and double those inside",
  CSV_MAX_RECORD_SIZE: `is longer than ${longestRecord / 1024 / 1024} Mi characters; is it a CSV file?`,
};

/**
 * The records of a CSV file (RFC 4180: UTF-8, lines ended by CRLF, LF or CR, empty ones left out), each with the same number
 * of values. The separator is the one of comma, semicolon, tab and bar that the first line has most of.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` naming the line; never its content
 */
export async function* readCsvRecords(path: string): AsyncGenerator<readonly string[], void, undefined> {
  const chunks = decoded(path);
  const { start, separator } = await begin(chunks);
  const parser = parse({
    delimiter: separator,
    record_delimiter: ["\r\n", "\n", "\r"],
    skip_empty_lines: true,
    max_record_size: longestRecord,
  });
  // What goes wrong on the way also ends the parser, and so the loop below.
  pipeline(prepended(start, chunks), parser, () => undefined);
  try {
    for await (const record of parser) yield asRecord(record);
  } catch (error) {
    throw explained(error, parser);
  } finally {
    await chunks.return();
  }
}

/** @throws KeysteadError for bytes that are not UTF-8 */
async function* decoded(path: string): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (bytes: Uint8Array | undefined): string => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch {
      throw invalid("it is not UTF-8 text; save it as UTF-8 (or convert it: iconv -f WINDOWS-1252 -t UTF-8)");
    }
  };
  for await (const chunk of createReadStream(path)) yield decode(Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk)));
  yield decode(undefined);
}

/** Reads up to the end of the first line. */
async function begin(chunks: AsyncGenerator<string, void, undefined>): Promise<{ readonly start: string; readonly separator: string }> {
  let start = "";
  for (;;) {
    const next = await chunks.next();
    if (next.done === true) return { start, separator: separatorOf(start) };
    start += next.value;
    if (/[^\r\n][\r\n]/.test(start) || start.length > longestRecord) return { start, separator: separatorOf(start) };
  }
}

/** Separators inside quotes don't count. */
function separatorOf(text: string): string {
  const [line = ""] = text
    .slice(0, longestRecord)
    .replace(/"(?:[^"]|"")*"/g, "")
    .trimStart()
    .split(/[\r\n]/, 1);
  const counted = separators.map((separator) => ({ separator, count: line.split(separator).length }));
  return counted.reduce((best, candidate) => (candidate.count > best.count ? candidate : best)).separator;
}

async function* prepended(start: string, rest: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  if (start !== "") yield start;
  yield* rest;
}

function asRecord(record: unknown): readonly string[] {
  return Array.isArray(record) ? record.map(String) : [];
}

function explained(error: unknown, parser: Parser): unknown {
  if (!(error instanceof CsvError)) return error;
  const problem = problems[error.code] ?? "can't be read as CSV; put values that hold separators, quotes or line breaks into double quotes";
  // No cause: the parser's errors carry the record.
  return invalid(`line ${parser.info.lines} ${problem}`);
}

/** An error about the CSV file. */
export function invalid(problem: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", `CSV file: ${problem}`);
}
