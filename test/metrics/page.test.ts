import { readFileSync } from "node:fs";
import { format } from "prettier";
import { expect, it } from "vitest";
import { withMetricsTables } from "../../src/metrics/metrics-table.ts";

it("the tables of docs/monitoring.md are what the definitions say; `node scripts/server-docs.ts` writes them", async () => {
  const page = readFileSync("docs/monitoring.md", "utf8");
  expect(page).toBe(await format(withMetricsTables(page), { parser: "markdown", printWidth: 140 }));
  expect(page).toContain("| `keystead_audit_lag_records`");
});
