import { KeysteadError } from "../errors.ts";
import type { FieldValue, ItemProblem } from "../index.ts";
import { type DataSource, type DataTarget, readLines, writeData } from "./data-streams.ts";
import type { Output } from "./output.ts";

/** Plaintext as JSON shows it: text where it is text that a terminal can show, else base64url of its bytes. */
export type OpenedValue = { readonly plaintext: string } | { readonly plaintextBase64url: string };

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Plaintext, recognised as text or as bytes. */
export function openedValue(plaintext: Buffer): OpenedValue {
  try {
    const text = decoder.decode(plaintext);
    // Anything but tab and line breaks among the control characters could do something to a terminal.
    if (!/[^\P{Cc}\t\n\r]/u.test(text)) return { plaintext: text };
  } catch {
    // Bytes that are no text.
  }
  return { plaintextBase64url: plaintext.toString("base64url") };
}

/** Names of the types of values, as fields have them. */
export type ValueType = "string" | "number" | "bigint" | "boolean" | "date" | "bytes" | "json";

/** What is written of a typed value alone: bytes as they are, everything else as text that loses nothing. */
export function typedPlaintext(value: FieldValue): { readonly type: ValueType; readonly plaintext: Buffer } {
  if (value instanceof Uint8Array) return { type: "bytes", plaintext: Buffer.from(value) };
  const [type, text] = typedText(value);
  return { type, plaintext: Buffer.from(text) };
}

function typedText(value: Exclude<FieldValue, Uint8Array>): readonly [type: ValueType, text: string] {
  if (typeof value === "string") return ["string", value];
  if (typeof value === "number") return ["number", Object.is(value, -0) ? "-0" : String(value)];
  if (typeof value === "bigint") return ["bigint", String(value)];
  if (typeof value === "boolean") return ["boolean", String(value)];
  if (value instanceof Date) return ["date", value.toISOString()];
  return ["json", JSON.stringify(value)];
}

/** A typed value as JSON: integers beyond 2^53 as decimal text, dates as ISO 8601, bytes as base64url. */
export function jsonValue(value: FieldValue | null): unknown {
  if (typeof value === "bigint")
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64url");
  return value;
}

/** A typed value as a table shows it. */
export function displayedValue(value: FieldValue | null | undefined): string {
  const shown = jsonValue(value ?? null);
  if (shown === null) return "";
  if (shown instanceof Date) return shown.toISOString();
  return typeof shown === "string" ? shown : JSON.stringify(shown);
}

/** Writes one value to its target: on stdout as it is, or as JSON; for a file, as JSON, where it went. @throws KeysteadError as {@link writeData} */
export async function writeValue(value: object, content: string | Uint8Array, target: DataTarget, output: Output): Promise<void> {
  if (target.out === undefined && output.json) return output.result(value, () => "");
  const bytes = await writeData(target, [content], output);
  if (target.out !== undefined && target.out !== "-") await output.result({ out: target.out, bytes }, () => "");
}

/** What becomes of a line: an object whose first field is the text, or why there is none. */
export type ConvertedLine = object | ItemProblem;

/**
 * Converts line by line, in batches of the lines at hand; stops at the first line that can't be converted and names its number. As JSON,
 * one array.
 * @param convert what becomes of some lines, one for one
 */
export async function convertLines(
  source: DataSource,
  target: DataTarget,
  output: Output,
  convert: (lines: readonly Buffer[]) => Promise<readonly ConvertedLine[]>,
): Promise<void> {
  const results = numbered(source, convert);
  if (output.json && target.out === undefined) {
    const values: object[] = [];
    for await (const { value } of results) values.push(value);
    return output.result(values, () => "");
  }
  let count = 0;
  const lines = async function* (): AsyncGenerator<string> {
    for await (const { value, number } of results) {
      count = number;
      yield `${lineText(value, number)}\n`;
    }
  };
  const bytes = await writeData(target, lines(), output);
  if (target.out !== undefined && target.out !== "-") await output.result({ out: target.out, lines: count, bytes }, () => "");
}

async function* numbered(
  source: DataSource,
  convert: (lines: readonly Buffer[]) => Promise<readonly ConvertedLine[]>,
): AsyncGenerator<{ readonly value: object; readonly number: number }> {
  const { lineBatches } = await import("../api/line-batches.ts");
  let number = 0;
  for await (const batch of lineBatches(measured(source), { weigh: ({ length }) => length * weightOfByte + weightOfLine })) {
    for (const value of await convert(batch.flatMap((line) => (line.problem === undefined ? [line.value] : [])))) {
      number += 1;
      if (isProblem(value)) throw inLine(number, value.problem);
      yield { value, number };
    }
  }
}

/**
 * What a line counts of the mebibyte that a batch has, so that a server takes the batch as one request with its usual limit: base64 makes a
 * third more of a line, and a context comes with each.
 */
const weightOfByte = 2;
const weightOfLine = 4096;

async function* measured(source: DataSource): AsyncGenerator<{ readonly value: Buffer; readonly length: number }> {
  for await (const value of readLines(source)) yield { value, length: value.length };
}

function isProblem(value: ConvertedLine): value is ItemProblem {
  return "problem" in value && value.problem instanceof KeysteadError;
}

function inLine(number: number, error: KeysteadError): KeysteadError {
  return new KeysteadError(error.code, `line ${number}: ${error.message}`, { cause: error });
}

function lineText(value: object, number: number): string {
  const [[, text] = []] = Object.entries(value);
  const single = typeof text === "string" && !("plaintextBase64url" in value) && !/[\n\r]/.test(text);
  if (single) return text;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `line ${number}: the plaintext is binary or has line breaks; decrypt it alone, or give --json`,
  );
}
