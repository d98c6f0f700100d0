import { readFileSync } from "node:fs";
import { format } from "prettier";
import { expect, it } from "vitest";
import { settingsPage } from "../../scripts/settings-page.ts";

it("docs/server-settings.md is what the schema says; `node scripts/server-docs.ts` writes it", async () => {
  expect(readFileSync("docs/server-settings.md", "utf8")).toBe(await format(settingsPage(), { parser: "markdown", printWidth: 140 }));
});
