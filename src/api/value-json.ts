import { z } from "zod";
import { decodeBase64 } from "../crypto/base64.ts";
import type { JsonValue } from "../crypto/json-text.ts";
import { type TypedJson, unusualNumbers } from "../crypto/typed-json.ts";

/**
 * What was read from JSON can be nothing else. A schema that says so of every level would be recursive, and zod then keeps books on each
 * value it meets, in every body that might hold one.
 */
const jsonValue = z
  .custom<JsonValue>((value) => value !== undefined)
  .meta({ id: "JsonValue", type: ["string", "number", "boolean", "null", "array", "object"] });

/** A value with its type, as JSON has it. */
export const typedValue: z.ZodType<TypedJson> = z
  .discriminatedUnion("type", [
    z.strictObject({ type: z.literal("text"), value: z.string() }),
    z.strictObject({
      type: z.literal("number"),
      value: z.union([z.number(), z.enum(unusualNumbers)], `must be a number, or one of ${unusualNumbers.join(", ")}`),
    }),
    z.strictObject({
      type: z.literal("bigint"),
      value: z
        .string()
        .max(4097)
        .regex(/^(?:0|-?[1-9][0-9]*)$/, "must be a whole number as text, without leading zeros"),
    }),
    z.strictObject({ type: z.literal("boolean"), value: z.boolean() }),
    z.strictObject({ type: z.literal("date"), value: z.iso.datetime() }),
    z.strictObject({ type: z.literal("bytes"), value: z.string().refine((text) => decodeBase64(text) !== undefined, "must be base64") }),
    z.strictObject({
      type: z.literal("json"),
      value: z.union([z.array(jsonValue), z.record(z.string(), jsonValue)], "must be a list or an object"),
    }),
  ])
  .meta({ id: "TypedValue" });
