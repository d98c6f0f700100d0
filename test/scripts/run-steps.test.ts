import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runSteps, skipExitCode } from "../../scripts/run-steps.ts";
import type { StepResult } from "../../scripts/run-steps.ts";
import { temporaryTree } from "./temporary-tree.ts";

const programs = {
  "good.js": 'console.log("fine");',
  "bad.js": 'console.error("broken"); process.exit(3);',
  "skip.js": `console.log("no such thing here"); process.exit(${skipExitCode});`,
};

async function run(
  steps: readonly { readonly name: string; readonly program: keyof typeof programs; readonly needs?: string }[],
): Promise<StepResult[]> {
  const folder = temporaryTree(programs);
  const ended: string[] = [];
  const results = await runSteps(
    steps.map(({ program, ...step }) => ({ ...step, args: [join(folder, program)] as const })),
    { limit: 2, cwd: folder, env: process.env, onEnd: ({ name }) => ended.push(name) },
  );
  expect(ended.toSorted()).toEqual(results.map(({ name }) => name).toSorted());
  return results;
}

describe("runSteps", () => {
  it("tells passed, failed and skipped apart and keeps the order", async () => {
    const results = await run([
      { name: "a", program: "good.js" },
      { name: "b", program: "bad.js" },
      { name: "c", program: "skip.js" },
    ]);
    expect(results.map(({ name, outcome, output }) => ({ name, outcome, output }))).toEqual([
      { name: "a", outcome: "passed", output: "fine" },
      { name: "b", outcome: "failed", output: "broken\n\n(exit code 3)" },
      { name: "c", outcome: "skipped", output: "no such thing here" },
    ]);
  });

  it("fails a step whose need is not met", async () => {
    const results = await run([
      { name: "a", program: "bad.js" },
      { name: "b", program: "good.js", needs: "a" },
    ]);
    expect(results[1]).toMatchObject({ outcome: "failed", output: "not run: a failed" });
  });

  it("runs a step after the one it needs", async () => {
    const results = await run([
      { name: "a", program: "good.js" },
      { name: "b", program: "good.js", needs: "a" },
    ]);
    expect(results.map(({ outcome }) => outcome)).toEqual(["passed", "passed"]);
  });
});
