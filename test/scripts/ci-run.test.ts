import { spawnSync } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../../scripts/tools.ts";
import { temporaryTree } from "./temporary-tree.ts";

/** Runs `.ci/run` in a project with these npm scripts. A script counts by writing to the file that the run names. */
function ciRun(scripts: Readonly<Record<string, string>>): { readonly status: number | null; readonly lines: readonly string[] } {
  const folder = temporaryTree({ "package.json": JSON.stringify({ name: "sample", version: "1.0.0", scripts }) });
  cpSync(join(root, ".ci"), join(folder, ".ci"), { recursive: true });
  const { status, stdout } = spawnSync(join(folder, ".ci", "run"), { encoding: "utf8" });
  return { status, lines: stdout.trim().split("\n") };
}

const count = (counts: string, exit = 0): string => `echo "${counts}" >> "$KEYSTEAD_COUNTS"; echo "part: ${counts}"; exit ${exit}`;

describe.skipIf(process.platform === "win32")(".ci/run", () => {
  it("adds up its parts in its last line", () => {
    const { status, lines } = ciRun({ test: count("10 0 1"), check: count("5 0 2"), "test:servers": count("3 0 0") });
    expect({ status, last: lines.at(-1) }).toEqual({ status: 0, last: "18 passed, 0 failed, 3 skipped" });
    expect(lines.filter((line) => /^\d+ passed/.test(line))).toHaveLength(1);
  });

  it("goes on after a failure and fails", () => {
    const { status, lines } = ciRun({ test: count("10 2 0", 1), check: count("5 0 0") });
    expect({ status, last: lines.at(-1) }).toEqual({ status: 1, last: "15 passed, 2 failed, 0 skipped" });
  });

  it.each([
    ["does not count", "exit 0"],
    ["dies", "kill -9 $$"],
    ["counts no failure and fails", count("1 0 0", 1)],
  ])("takes it for a failure when a part %s", (_, script) => {
    const { status, lines } = ciRun({ test: script, check: count("5 0 0") });
    expect(status).toBe(1);
    expect(lines.at(-1)).toMatch(/^[56] passed, 1 failed, 0 skipped$/);
  });
});
