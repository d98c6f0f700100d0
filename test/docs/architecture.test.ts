import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { root } from "../../scripts/tools.ts";

const page = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");

/** What the first column of a section's table names. */
function named(section: string): string[] {
  const [, text = ""] = page.split(`## ${section}\n`);
  const rows = (text.split("\n## ")[0] ?? "").split("\n").filter((line) => line.startsWith("| `"));
  return rows.flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));
}

describe("ARCHITECTURE.md", () => {
  it("has a row for every file and folder of src, and for nothing else", () => {
    const parts = readdirSync(join(root, "src"), { withFileTypes: true });
    const there = parts.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
    // Files stand there by name alone, but for those that have a folder beside them.
    const rows = named("Layers").map((name) => (/\/$|\.ts$/.test(name) ? name : `${name}.ts`));
    expect(rows.sort()).toEqual(there.sort());
  });

  it("says why of every dependency, and of nothing else", () => {
    const manifest = z
      .object({ dependencies: z.record(z.string(), z.string()), peerDependencies: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));
    const used = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)];
    expect(named("Dependencies").sort()).toEqual(used.sort());
  });
});
