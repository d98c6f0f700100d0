import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AuditEvent } from "../../src/audit/event.ts";
import { isPlainRecord, limits } from "../../src/audit/record-check.ts";
import { encodeRecord, recordSchema } from "../../src/audit/record.ts";

const origin = { store: "store-1", writer: "0b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081", process: 4711, host: "host.example" };
const head = { sequence: 3, previous: "ab".repeat(32), time: "2026-02-03T04:05:06.007Z", id: "7d0a9c0e-3b7e-4a53-8a48-8f0f3c6f2d22" };
const event = {
  action: "data.encrypt",
  outcome: "failed",
  principal: { source: "oidc", id: "main:7f3a", name: "Anna", actingFor: "bert" },
  request: { id: "request", address: "::1" },
  key: "acme/pii-email",
  version: "3-k7f2qd",
  dataset: "crm.person",
  purpose: "pii",
  context: { table: "person", row: "" },
  items: ["a".repeat(43), "!KEY_STATE", `${"b".repeat(43)}!X`],
  reason: "yearly",
  code: "KEY_STATE",
  detail: { states: "active", count: 2, done: true, nothing: null },
};
const record = { ...head, ...origin, ...event };

/** Texts around every limit, and what is no text. */
const lengths = [0, 1, ...Object.values(limits).flatMap((limit) => [limit - 1, limit, limit + 1])];
const bare: unknown = Object.create(null);
const inherited: unknown = Object.create({ id: "x" });
const anyValue = fc.oneof(
  fc.constantFrom(...lengths).map((length) => "x".repeat(length)),
  fc.string({ unit: "binary", maxLength: 5 }),
  fc.constantFrom("\ud800", "a.b", "keys.rotate", "allowed", "!CODE", "a!", "2026-02-03T04:05:06.007Z", "+010000-01-01T00:00:00.000Z"),
  fc.constantFrom(0, -0, 1, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, Number.MAX_SAFE_INTEGER, true, null, undefined),
  fc.constantFrom(
    ...[63, 64, 65].map((count) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`n${String(index)}`, "1"]))),
  ),
  fc.constantFrom(
    [],
    ["x"],
    [undefined],
    new Array<string>(1),
    Array.from({ length: 1001 }, () => ""),
    Array.from({ length: 1000 }, () => ""),
  ),
  fc.constantFrom<unknown[]>(new Map(), new Date(0), bare, inherited, { [Symbol("s")]: "x" }, () => ""),
  fc.dictionary(fc.string({ maxLength: 3 }), fc.oneof(fc.string({ maxLength: 3 }), fc.integer(), fc.object({ maxDepth: 1 }))),
  fc.uuid(),
);

type Members = Readonly<Record<string, unknown>>;

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The same object with one member, wherever, put in, replaced or taken out. */
function changed(value: Members): fc.Arbitrary<Members> {
  const nested = Object.entries(value).filter(
    (entry): entry is [string, Members] => isMembers(entry[1]) && Object.keys(entry[1]).length > 0,
  );
  const here = fc.oneof(
    fc.tuple(fc.constantFrom(...Object.keys(value)), anyValue).map(([name, other]) => ({ ...value, [name]: other })),
    fc.constantFrom(...Object.keys(value)).map((name) => Object.fromEntries(Object.entries(value).filter(([key]) => key !== name))),
    fc
      .tuple(fc.oneof(fc.string({ maxLength: 4 }), fc.constantFrom("__proto__", "toString", "x".repeat(64), "x".repeat(65))), anyValue)
      .map(([name, other]) => Object.fromEntries([...Object.entries(value), [name, other]])),
  );
  const inside = nested.map(([name, inner]) => changed(inner).map((other) => ({ ...value, [name]: other })));
  return fc.oneof(here, ...inside);
}

describe("the direct check of a record", () => {
  it("takes what the schema takes, and nothing else", () => {
    expect(isPlainRecord(record)).toBe(true);
    let good = 0;
    fc.assert(
      fc.property(fc.oneof(changed(record), changed(record).chain(changed), fc.jsonValue()), (value) => {
        const expected = recordSchema.safeParse(value).success;
        if (expected) good++;
        // What comes from no JSON may be left to the schema, which encodes nothing that it refuses.
        if (isPlainRecord(value)) expect(expected).toBe(true);
        const text = JSON.stringify(value);
        const parsed: unknown = JSON.parse(text);
        if (!text.includes("__proto__")) expect(isPlainRecord(parsed)).toBe(recordSchema.safeParse(parsed).success);
      }),
      { numRuns: 4_000 },
    );
    expect(good).toBeGreaterThan(200);
  });

  it("writes what the schema read, inherited or not", () => {
    const place = { ...head, time: Date.UTC(2026, 1, 3) };
    class Origin {
      readonly #id = "x";
      get id(): string {
        return this.#id;
      }
    }
    const request = new Origin();
    const principal = { source: "oidc", id: "main:7f3a" } as const;
    const line = encodeRecord(origin, place, { action: "data.encrypt", outcome: "allowed", principal, request });
    expect(recordSchema.parse(JSON.parse(line.toString("utf8")))).toMatchObject({ request: { id: "x" } });
  });

  it("refuses to write just what the schema refuses", () => {
    fc.assert(
      fc.property(changed(event), (value) => {
        const { principal } = value;
        // An event names somebody; what is absent or undefined is left out, and so is what no record has.
        fc.pre(isMembers(principal));
        const known = Object.entries(value).filter(([name, member]) => Object.hasOwn(event, name) && member !== undefined);
        const who = Object.entries(principal).filter(([name, member]) => Object.hasOwn(event.principal, name) && member !== undefined);
        const expected = recordSchema.safeParse({
          ...head,
          ...origin,
          ...Object.fromEntries(known),
          principal: Object.fromEntries(who),
        }).success;
        const place = { ...head, time: Date.UTC(2026, 1, 3) };
        const write = (): Buffer => encodeRecord(origin, place, value as unknown as AuditEvent);
        if (expected) expect(recordSchema.safeParse(JSON.parse(write().toString("utf8"))).success).toBe(true);
        else expect(write).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
      }),
      { numRuns: 2_000 },
    );
  });
});
