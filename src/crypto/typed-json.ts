import { types } from "node:util";
import { KeysteadError } from "../errors.ts";
import type { JsonStructure, JsonValue } from "./json-text.ts";
import type { FieldValue } from "./typed-value.ts";

/** Numbers that JSON has no numeral for. */
export const unusualNumbers = ["NaN", "Infinity", "-Infinity", "-0"] as const;

/** A value with its type, as JSON has it. */
export type TypedJson =
  | { readonly type: "text"; readonly value: string }
  | { readonly type: "number"; readonly value: number | (typeof unusualNumbers)[number] }
  | { readonly type: "bigint"; readonly value: string }
  | { readonly type: "boolean"; readonly value: boolean }
  | { readonly type: "date"; readonly value: string }
  | { readonly type: "bytes"; readonly value: string }
  | { readonly type: "json"; readonly value: JsonValue[] | Record<string, JsonValue> };

/** The value that JSON describes. */
export function fromTypedJson(typed: TypedJson): FieldValue {
  if (typed.type === "bigint") return BigInt(typed.value);
  if (typed.type === "number") return Number(typed.value);
  if (typed.type === "date") return new Date(typed.value);
  if (typed.type === "bytes") return Uint8Array.from(Buffer.from(typed.value, "base64"));
  return typed.value;
}

/** A value as JSON describes it: bytes as base64, dates as ISO 8601. @throws KeysteadError `INVALID_ARGUMENT` for an invalid date */
export function toTypedJson(value: FieldValue): TypedJson {
  if (typeof value === "string") return { type: "text", value };
  if (typeof value === "number") return { type: "number", value: unusualNumbers.find((name) => Object.is(Number(name), value)) ?? value };
  if (typeof value === "boolean") return { type: "boolean", value };
  if (typeof value === "bigint") return { type: "bigint", value: value.toString() };
  if (types.isDate(value)) return { type: "date", value: isoText(value) };
  if (types.isUint8Array(value)) return { type: "bytes", value: Buffer.from(value).toString("base64") };
  return { type: "json", value: isList(value) ? [...value] : { ...value } };
}

function isList(value: JsonStructure): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isoText(date: Date): string {
  if (Number.isNaN(date.getTime())) throw new KeysteadError("INVALID_ARGUMENT", "value is an invalid date; give a valid one");
  return date.toISOString();
}
