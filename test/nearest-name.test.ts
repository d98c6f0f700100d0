import { describe, expect, it } from "vitest";
import { nearestName } from "../src/nearest-name.ts";

describe("nearestName", () => {
  const names = ["pii-email", "pii-phone", "api", "pii", "crm.person"];

  it.each([
    ["pii-emial", "pii-email"],
    ["PII-EMAIL", "pii-email"],
    ["pii-mail", "pii-email"],
    ["crm.persn", "crm.person"],
    ["pi", "pii"],
  ])("takes %s for %s", (word, name) => {
    expect(nearestName([word], names)).toBe(name);
  });

  it.each([["anna@example.org"], ["4711"], [""], ["pii-email"], ["x".repeat(1000)]])("is silent about %s", (word) => {
    expect(nearestName([word], names)).toBeUndefined();
  });
});
