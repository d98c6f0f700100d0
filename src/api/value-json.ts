import { types } from "node:util";
import { z } from "zod";
import { decodeBase64 } from "../crypto/base64.ts";
import type { JsonValue } from "../crypto/json-text.ts";
import type { FieldValue } from "../crypto/typed-value.ts";

/** Numbers that JSON has no numeral for. */
const unusualNumbers = ["NaN", "Infinity", "-Infinity", "-0"] as const;

const jsonValue: z.ZodType<JsonValue> = z
  .lazy(() => z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(jsonValue), z.record(z.string(), jsonValue)]))
  .meta({ id: "JsonValue" });

/** A value with its type, as JSON has it. */
export const typedValue = z
  .discriminatedUnion("type", [
    z.strictObject({ type: z.literal("text"), value: z.string() }),
    z.strictObject({ type: z.literal("number"), value: z.union([z.number(), z.enum(unusualNumbers)]) }),
    z.strictObject({
      type: z.literal("bigint"),
      value: z
        .string()
        .max(4097)
        .regex(/^(?:0|-?[1-9][0-9]*)$/),
    }),
    z.strictObject({ type: z.literal("boolean"), value: z.boolean() }),
    z.strictObject({ type: z.literal("date"), value: z.iso.datetime() }),
    z.strictObject({ type: z.literal("bytes"), value: z.string().refine((text) => decodeBase64(text) !== undefined, "must be base64") }),
    z.strictObject({ type: z.literal("json"), value: z.union([z.array(jsonValue), z.record(z.string(), jsonValue)]) }),
  ])
  .meta({ id: "TypedValue" });

/** A value with its type, as JSON has it. */
export type TypedValue = z.infer<typeof typedValue>;

/** The value that JSON describes. */
export function fromTypedValue(typed: TypedValue): FieldValue {
  if (typed.type === "bigint") return BigInt(typed.value);
  if (typed.type === "number") return Number(typed.value);
  if (typed.type === "date") return new Date(typed.value);
  if (typed.type === "bytes") return Buffer.from(typed.value, "base64");
  return typed.value;
}

/** A value as JSON describes it. */
export function toTypedValue(value: FieldValue): TypedValue {
  if (typeof value === "string") return { type: "text", value };
  if (typeof value === "number") return { type: "number", value: unusualNumbers.find((name) => Object.is(Number(name), value)) ?? value };
  if (typeof value === "boolean") return { type: "boolean", value };
  if (typeof value === "bigint") return { type: "bigint", value: value.toString() };
  if (types.isDate(value)) return { type: "date", value: value.toISOString() };
  if (types.isUint8Array(value)) return { type: "bytes", value: Buffer.from(value).toString("base64") };
  return typedValue.parse({ type: "json", value });
}
