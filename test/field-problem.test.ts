import { describe, expect, it } from "vitest";
import { z } from "zod";
import { checkFields } from "../src/field-problem.ts";

const schema = z.strictObject({
  table: z.string().min(1).max(3),
  keys: z.array(z.string()).min(1),
  count: z.int().min(2).optional(),
  on: z.boolean().optional(),
  kind: z.enum(["typed", "value"]).optional(),
  name: z
    .string()
    .regex(/^[a-z]+$/, "is lower-case letters")
    .optional(),
  at: z.iso.datetime({ offset: true }).optional(),
  sink: z
    .discriminatedUnion("type", [
      z.strictObject({ type: z.literal("stdout") }),
      z.strictObject({ type: z.enum(["file", "pipe"]), path: z.string() }),
    ])
    .optional(),
  more: z.record(z.string(), z.strictObject({ key: z.string() })).optional(),
});
const good = { table: "p", keys: ["id"] };

describe("checkFields", () => {
  it("returns what is right", () => {
    expect(checkFields("definition", schema, good)).toEqual({ data: good });
  });

  it.each([
    [{ table: "p" }, "keys: is missing; give a list"],
    [{ ...good, keys: "id" }, "keys: must be a list"],
    [{ ...good, keys: [] }, "keys: must have at least 1 entries"],
    [{ ...good, keys: [5] }, "keys.0: must be text"],
    [{ ...good, table: "" }, "table: must have at least 1 characters"],
    [{ ...good, table: "secret" }, "table: must have at most 3 characters"],
    [{ ...good, count: 1.5 }, "count: must be a whole number"],
    [{ ...good, count: 1 }, "count: must be at least 2"],
    [{ ...good, on: "yes" }, "on: must be true or false"],
    [{ ...good, kind: "secret" }, "kind: must be one of typed, value"],
    [{ ...good, name: "Secret" }, "name: is lower-case letters"],
    [{ ...good, at: "secret" }, "at: must be a date and time with its zone: 2027-01-31T08:00:00Z"],
    [{ ...good, sink: { type: "secret" } }, "sink.type: must be one of stdout, file, pipe"],
    [{ ...good, sink: {} }, "sink.type: must be one of stdout, file, pipe"],
    [{ ...good, sink: { type: "file" } }, "sink.path: is missing; give text"],
    [{ ...good, tabel: "secret" }, 'definition: has no field "tabel"; correct or remove it'],
    [{ ...good, more: { email: {} } }, "more.email.key: is missing; give text"],
    [{ ...good, more: ["secret"] }, "more: must be an object"],
    [[], "definition: must be an object"],
    [null, "definition: must be an object"],
  ])("says of %j: %s", (input, problem) => {
    expect(checkFields("definition", schema, input)).toEqual({ problem });
  });
});
