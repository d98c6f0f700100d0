import { expect, it } from "vitest";
import { typedValue } from "../../src/api/value-json.ts";
import { checkFields } from "../../src/field-problem.ts";

it.each([
  [{ type: "integer", value: 5 }, "type: must be one of text, number, bigint, boolean, date, bytes, json"],
  [{ type: "text", value: 5 }, "value: must be text"],
  [{ type: "number", value: "secret" }, "value: must be a number, or one of NaN, Infinity, -Infinity, -0"],
  [{ type: "bigint", value: "007" }, "value: must be a whole number as text, without leading zeros"],
  [{ type: "bigint", value: 7 }, "value: must be text"],
  [{ type: "boolean", value: "yes" }, "value: must be true or false"],
  [{ type: "date", value: "secret" }, "value: must be a date and time with its zone: 2027-01-31T08:00:00Z"],
  [{ type: "bytes", value: "se_" }, "value: must be base64"],
  [{ type: "json", value: "secret" }, "value: must be a list or an object"],
])("of the value %j it is said how it must be: %s", (value, problem) => {
  expect(checkFields("value", typedValue, value)).toEqual({ problem });
});
