import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BatchEntry, groupBatch } from "../../src/keys/batch-groups.ts";

const entry = fc.record(
  {
    action: fc.constantFrom("data-keys.create", "data-keys.create-plain"),
    key: fc.constantFrom("k", "l"),
    purpose: fc.constantFrom("pii", "pay"),
    version: fc.constantFrom("1-aaaaaa", "2-bbbbbb"),
    dataset: fc.constantFrom("crm", "hr"),
    to: fc.constantFrom("k", "m"),
    toVersion: fc.constantFrom("1-aaaaaa", "2-bbbbbb"),
    context: fc.dictionary(fc.constantFrom("row", "column", "table"), fc.constantFrom("1", "2")),
    outcome: fc.constantFrom("allowed", "denied", "failed"),
  },
  { requiredKeys: ["action", "outcome"] },
) satisfies fc.Arbitrary<BatchEntry>;

describe("the records of a batch", () => {
  it("tell of what was denied and of what failed of a key apart", () => {
    const entries: BatchEntry[] = [
      { action: "data.mac", key: "k", outcome: "allowed" },
      { action: "data.mac", key: "k", outcome: "denied" },
      { action: "data.mac", key: "k", outcome: "failed" },
      { action: "data.mac", purpose: "pii", outcome: "failed" },
      { action: "data.mac", outcome: "failed" },
    ];
    expect(groupBatch(entries)).toEqual([
      { action: "data.mac", places: [0], outcomes: { allowed: 1, denied: 0, failed: 0 }, shared: { key: "k" } },
      { action: "data.mac", places: [1], outcomes: { allowed: 0, denied: 1, failed: 0 }, shared: { key: "k" } },
      { action: "data.mac", places: [2], outcomes: { allowed: 0, denied: 0, failed: 1 }, shared: { key: "k" } },
      { action: "data.mac", places: [3], outcomes: { allowed: 0, denied: 0, failed: 1 }, shared: { purpose: "pii" } },
      { action: "data.mac", places: [4], outcomes: { allowed: 0, denied: 0, failed: 1 }, shared: {} },
    ]);
  });

  it("tell of each item once, and of nothing that an item of theirs does not have", () => {
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 12 }), (entries) => {
        const groups = groupBatch(entries);
        expect(groups.flatMap(({ places }) => places).sort((a, b) => a - b)).toEqual(entries.map((_, place) => place));
        for (const { action, places, outcomes, shared } of groups) {
          const members = places.map((place) => entries[place]);
          expect(Object.values(outcomes)).toContain(places.length);
          const { context = {}, ...others } = shared;
          expect(new Set(members.map((member) => member?.action))).toEqual(new Set([action]));
          for (const name of ["key", "purpose", "to"] as const) expect(new Set(members.map((member) => member?.[name])).size).toBe(1);
          for (const member of members) {
            expect(member).toMatchObject(others);
            expect(member?.context ?? {}).toMatchObject(context);
          }
          const pairs = Object.entries(members[0]?.context ?? {});
          expect(Object.entries(context)).toEqual(
            pairs.filter(([name, value]) => members.every((member) => member?.context?.[name] === value)),
          );
          for (const name of ["key", "purpose", "to", "toVersion", "version", "dataset"] as const)
            expect(shared[name]).toBe(new Set(members.map((member) => member?.[name])).size === 1 ? members[0]?.[name] : undefined);
        }
      }),
    );
  });

  it("tell of each context apart where that is asked, in whatever order its pairs are", () => {
    const contexts = [{ row: "1", column: "a" }, { row: "2", column: "a" }, { column: "a", row: "1" }, {}, undefined];
    const entries: BatchEntry[] = contexts.map((context) => ({ action: "data.mac", key: "k", outcome: "allowed", context }));
    const groups = groupBatch(entries, true);
    expect(groups.map(({ places }) => places)).toEqual([[0, 2], [1], [3, 4]]);
    expect(groups.map(({ shared }) => shared.context)).toEqual([{ row: "1", column: "a" }, { row: "2", column: "a" }, undefined]);
    expect(groupBatch(entries).map(({ places }) => places)).toEqual([[0, 1, 2, 3, 4]]);
  });

  it("hold as many pairs as a record may have", () => {
    const context = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`name-${String(index)}`, "x"]));
    expect(Object.keys(groupBatch([{ action: "data.mac", outcome: "failed", context }])[0]?.shared.context ?? {})).toHaveLength(64);
  });

  it("leave out what no record can hold", () => {
    const context = { fits: "x", long: "x".repeat(4_097), ["y".repeat(256)]: "long name", broken: "\ud800" };
    expect(groupBatch([{ action: "data.mac", key: "k", outcome: "allowed", context }])[0]?.shared.context).toEqual({ fits: "x" });
  });
});
