import { canonicalText, type CanonicalType } from "../../src/fields/canonical-text.ts";
import { formatJson, hex } from "./format.ts";

/** A value as a database or a program holds it; bytes stand as hexadecimal in the file. */
type Input = string | number | boolean | Uint8Array;

const cases: readonly (readonly [type: CanonicalType, input: Input])[] = [
  ["integer", 42],
  ["integer", "-9223372036854775808"],
  ["integer", "007"],
  ["numeric", "1.500"],
  ["numeric", "-0.00"],
  ["numeric", "+12e3"],
  ["numeric", "1.25E-3"],
  ["boolean", true],
  ["boolean", 0],
  ["uuid", "0B1F7A4E-8C52-4D0A-9A53-2F4D5E6F7081"],
  ["date", "2027-01-31"],
  ["timestamptz", "2027-01-31 23:30:00+02"],
  ["timestamptz", "2027-01-31T23:30:00.1234-05:30"],
  ["timestamptz", "0001-01-01T00:00:00Z"],
  ["text", " Zoë e\u0301 🗝"],
  ["text", ""],
  ["bytes", Uint8Array.of(0, 255, 128, 62)],
];

/** `context-text.json`: the text of a column's value in a context. */
export function contextTextFile(): string {
  const texts = cases.map(([type, input]) => ({
    type,
    input: input instanceof Uint8Array ? hex(input) : input,
    text: canonicalText(input, "golden value", type),
  }));
  return formatJson({ about: "Keystead format 1, context text by SQL type. Bytes are hexadecimal.", texts });
}
