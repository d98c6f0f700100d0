import { spawn } from "node:child_process";
import { createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { z } from "zod";
import { testRunVariable } from "../test/setup/canary.ts";
import { searchTestRun } from "../test/setup/leaks.ts";
import { closeRun, countsVariable } from "./counts.ts";
import { outcomesVariable } from "./outcome-reporter.ts";
import type { Outcomes } from "./outcome-reporter.ts";
import { root, tool } from "./tools.ts";

// npm test [-- ARGS]: runs vitest with ARGS, then searches everything that the run printed for the secrets of the tests.

const outcomesSchema = z.object({
  passed: z.number(),
  failed: z.array(z.string()),
  skipped: z.array(z.object({ name: z.string(), reason: z.string() })),
});

/** Runs vitest; its output goes to the terminal and to the log file. */
async function runVitest(args: readonly string[], environment: Record<string, string>, log: string): Promise<number> {
  const { [countsVariable]: _, ...inherited } = process.env;
  const env: NodeJS.ProcessEnv = { ...inherited, ...environment };
  // By option, not by environment: commands that tests start must not behave differently on a terminal.
  const color = process.stdout.isTTY && env["NO_COLOR"] === undefined ? "--color" : "--no-color";
  const options = [color, "--reporter=default", `--reporter=${join(root, "scripts", "outcome-reporter.ts")}`];
  const child = spawn(process.execPath, [tool("vitest"), "run", ...options, ...args], {
    cwd: root,
    env,
    stdio: ["inherit", "pipe", "pipe"],
  });
  // Interrupted, vitest ends, and what is temporary is removed below.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => child.kill(signal));
  const file = createWriteStream(log, { mode: 0o600 });
  const copy = async (from: NodeJS.ReadableStream, to: NodeJS.WritableStream): Promise<void> => {
    for await (const chunk of from) {
      file.write(chunk);
      to.write(chunk);
    }
  };
  const exit = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => {
      resolve(code ?? 1);
    });
  });
  const [code] = await Promise.all([exit, copy(child.stdout, process.stdout), copy(child.stderr, process.stderr)]);
  file.end();
  await finished(file);
  return code;
}

function readOutcomes(file: string): Outcomes {
  if (!existsSync(file)) return { passed: 0, failed: ["vitest did not finish"], skipped: [] };
  return outcomesSchema.parse(JSON.parse(readFileSync(file, "utf8")));
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "keystead-test-"));
  try {
    const [log, outcomesFile] = [join(folder, "output.log"), join(folder, "outcomes.json")];
    const code = await runVitest(process.argv.slice(2), { [testRunVariable]: folder, [outcomesVariable]: outcomesFile }, log);
    const { passed, failed, skipped } = readOutcomes(outcomesFile);
    const failures = [...failed];
    if (passed + failures.length === 0) failures.push("no test was run");
    if (code !== 0 && failures.length === 0) failures.push(`vitest ended with exit code ${code}`);
    // A failed test may have shown a secret, too.
    const searched = passed + failed.length > 0;
    const leaks = searched ? searchTestRun(folder, log) : [];
    for (const { name, reason } of skipped) process.stdout.write(`skipped: ${name} (${reason})\n`);
    for (const name of failures) process.stdout.write(`failed: ${name}\n`);
    for (const leak of leaks) process.stdout.write(`failed: secrets stay secret: ${leak}\n`);
    closeRun("tests", {
      passed: passed + (searched && leaks.length === 0 ? 1 : 0),
      failed: failures.length + (leaks.length > 0 ? 1 : 0),
      skipped: skipped.length,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
