import { expect, it } from "vitest";
import { parsePolicy } from "../../src/access/policy.ts";

it.each(["data.encrypt", "data-keys.*", "data.*", "*", "*.create", "leases.*", "datasets.*", "datasets.find"])(
  "a policy can't make operations on data wait: %s",
  (action) => {
    const make = (effect: "approve" | "deny"): unknown => parsePolicy({ effect, subject: "*", actions: ["keys.destroy", action] });
    expect(() => make("approve")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    expect(make("deny")).toMatchObject({ effect: "deny" });
  },
);

it("a policy makes everything else wait", () => {
  const actions = ["keys.*", "policies.*", "datasets.unprotect", "leases.revoke", "*.remove"];
  expect(parsePolicy({ effect: "approve", subject: "*", actions })).toMatchObject({ actions });
});
