import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { root } from "../../scripts/tools.ts";

it("SECURITY.md names tests that there are, for every attacker but the program itself", () => {
  const text = readFileSync(join(root, "SECURITY.md"), "utf8");
  const named = [...text.matchAll(/`(test\/[^`]+)`/g)].map(([, path = ""]) => path);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  const [, table = ""] = text.split("### Who attacks, and how far each gets\n");
  const rows = (table.split("\n## ")[0] ?? "").split("\n").filter((line) => line.startsWith("| **"));
  expect(rows.length).toBeGreaterThan(10);
  expect(rows.filter((row) => !row.includes("`test/")).map((row) => row.slice(2, row.indexOf("**", 4) + 2))).toEqual([
    "**program that links the library**",
  ]);
});
