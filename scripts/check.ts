import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeRun, countsVariable } from "./counts.ts";
import { tarballIn } from "./pack-package.ts";
import { runSteps } from "./run-steps.ts";
import type { Step, StepResult } from "./run-steps.ts";
import { root, tool } from "./tools.ts";

// npm run check [-- NAME...]: runs all checks, or those named with what they need.

/** So many checks run at once: most of them keep one core busy and hold the whole program in memory. */
const concurrency = 2;

function script(name: string): string {
  return join(root, "scripts", name);
}

/** Every check, the slowest first. `folder` is a temporary one that they share. */
function checksIn(folder: string): Step[] {
  const tarball = tarballIn(folder);
  return [
    { name: "lint", args: [tool("eslint"), "--max-warnings=0", "."] },
    { name: "types", args: [tool("typescript", "tsc"), "-p", "."] },
    { name: "build", args: [script("pack.ts"), folder] },
    { name: "format", args: [tool("prettier"), "--check", "--log-level=warn", "."] },
    { name: "unused", args: [tool("knip"), "--no-progress"] },
    { name: "docs", args: [script("check-docs.ts")] },
    { name: "layers", args: [script("layers.ts")] },
    { name: "text", args: [script("check-text.ts")] },
    { name: "python-reader", args: [script("check-python-reader.ts")] },
    { name: "publint", args: [tool("publint"), "--strict", tarball], needs: "build" },
    { name: "attw", args: [tool("@arethetypeswrong/cli", "attw"), "--profile=esm-only", "--no-definitely-typed", tarball], needs: "build" },
  ];
}

function select(checks: readonly Step[], names: readonly string[]): Step[] {
  if (names.length === 0) return [...checks];
  const unknown = names.find((name) => !checks.some((check) => check.name === name));
  if (unknown !== undefined) throw new Error(`there is no check "${unknown}"; there are ${checks.map(({ name }) => name).join(", ")}`);
  const wanted = new Set([...names, ...checks.flatMap(({ name, needs }) => (needs !== undefined && names.includes(name) ? [needs] : []))]);
  return checks.filter(({ name }) => wanted.has(name));
}

function report({ name, outcome, output }: StepResult): void {
  if (outcome === "failed") process.stdout.write(`--- ${name} failed\n${output}\n\n`);
}

function summarise(results: readonly StepResult[]): void {
  const width = Math.max(...results.map(({ name }) => name.length));
  for (const { name, outcome, seconds, output } of results) {
    const reason = outcome === "skipped" ? `  ${output}` : "";
    process.stdout.write(`${name.padEnd(width)}  ${outcome.padEnd(7)}  ${seconds.toFixed(1).padStart(6)} s${reason}\n`);
  }
}

const folder = mkdtempSync(join(tmpdir(), "keystead-check-"));
try {
  const { [countsVariable]: _, ...env } = process.env;
  const steps = select(checksIn(folder), process.argv.slice(2));
  const results = await runSteps(steps, { limit: concurrency, cwd: root, env, onEnd: report });
  summarise(results);
  const count = (outcome: StepResult["outcome"]): number => results.filter((result) => result.outcome === outcome).length;
  closeRun("check", { passed: count("passed"), failed: count("failed"), skipped: count("skipped") });
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
