import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pickRoute, type Route } from "../../src/kek/routes.ts";
import type { StoredRecord } from "../../src/store/tables.ts";

function route(id: string, purpose: string | null, namePrefix: string | null): Route {
  return { id, purpose, namePrefix, kekUri: `local:${id}` };
}

const routes = [
  route("default", null, null),
  route("medical", "medical", null),
  route("acme", null, "acme"),
  route("acme-medical", "medical", "acme"),
  route("acme-eu", null, "acme/eu"),
];

describe("pickRoute", () => {
  it.each([
    ["pii", "email", "default"],
    ["medical", "diagnosis", "medical"],
    ["pii", "acme/email", "acme"],
    ["pii", "acme", "acme"],
    ["medical", "acme/diagnosis", "acme-medical"],
    ["pii", "acme/eu/email", "acme-eu"],
    ["medical", "acme/eu/diagnosis", "acme-eu"],
    ["pii", "acme2/email", "default"],
    ["pii", "acme/europe", "acme"],
    ["pii", "ACME/email", "default"],
  ])("purpose %s, key %s goes to %s", (purpose, name, expected) => {
    expect(pickRoute(routes, { purpose, name }).id).toBe(expected);
  });

  it("does not depend on the order of the routes", () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(routes, { minLength: routes.length }),
        fc.constantFrom("pii", "medical"),
        fc.constantFrom("a", "acme/a", "acme/eu/a"),
        (shuffled, purpose, name) => {
          expect(pickRoute(shuffled, { purpose, name })).toBe(pickRoute(routes, { purpose, name }));
        },
      ),
    );
  });

  it("refuses to guess when nothing covers the key", () => {
    const refusal = (): unknown => pickRoute([route("medical", "medical", null)], { purpose: "pii", name: "email" });
    expect(refusal).toThrow(expect.objectContaining({ code: "UNKNOWN_KEK" }));
    expect(refusal).toThrow(/pii.*email/);
    expect(() => pickRoute([], { purpose: "pii", name: "email" })).toThrow(expect.objectContaining({ code: "UNKNOWN_KEK" }));
  });

  it("refuses to guess between two that are as specific", () => {
    const twice = [route("a", "pii", "acme"), route("b", "pii", "acme"), route("default", null, null)];
    expect(() => pickRoute(twice, { purpose: "pii", name: "acme/x" })).toThrow(expect.objectContaining({ code: "CONFLICT" }));
    expect(pickRoute(twice, { purpose: "pii", name: "x" }).id).toBe("default");
  });

  it("takes the rows of a store as they are", () => {
    const stored: StoredRecord<"routes"> = { id: "1", purpose: null, namePrefix: null, kekUri: "local:main", rowVersion: 1 };
    expect(pickRoute([stored], { purpose: "pii", name: "x" }).rowVersion).toBe(1);
  });
});
