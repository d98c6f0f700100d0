import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import type { Reporter, TestCase, TestModule } from "vitest/node";

/** A test that did not run, and why. */
export interface SkippedTest {
  readonly name: string;
  readonly reason: string;
}

/** What vitest's run came to, as this reporter writes it. */
export interface Outcomes {
  readonly passed: number;
  /** Tests that failed, files that could not be run, errors outside tests. */
  readonly failed: readonly string[];
  readonly skipped: readonly SkippedTest[];
}

/** Environment variable that names the file for the {@link Outcomes}. */
export const outcomesVariable = "KEYSTEAD_OUTCOMES";

function reasonOf(test: TestCase, note: string | undefined): string {
  if (note !== undefined) return note;
  return test.options.mode === "run" ? "what it depends on failed" : `marked ${test.options.mode}`;
}

function collect(module: TestModule): Outcomes {
  const file = relative(process.cwd(), module.moduleId);
  const failed: string[] = [];
  const skipped: SkippedTest[] = [];
  let passed = 0;
  for (const test of module.children.allTests()) {
    const name = `${file} > ${test.fullName}`;
    const result = test.result();
    if (result.state === "passed") passed += 1;
    else if (result.state === "skipped") skipped.push({ name, reason: reasonOf(test, result.note) });
    else failed.push(result.state === "pending" ? `${name} (did not finish)` : name);
  }
  // A file that fails without a failed test did not load, or failed in a hook, or its worker died.
  if (!module.ok() && failed.length === 0) failed.push(`${file} (did not run to its end)`);
  return { passed, failed, skipped };
}

/** Writes the {@link Outcomes} as JSON: vitest's own JSON report lacks the reasons of skipped tests. */
export default class OutcomeReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly { readonly message: string }[]): void {
    const file = process.env[outcomesVariable];
    if (file === undefined) return;
    const parts = modules.map(collect);
    const outcomes: Outcomes = {
      passed: parts.reduce((sum, part) => sum + part.passed, 0),
      failed: [...parts.flatMap((part) => part.failed), ...unhandledErrors.map(({ message }) => `outside of tests: ${message}`)],
      skipped: parts.flatMap((part) => part.skipped),
    };
    writeFileSync(file, JSON.stringify(outcomes));
  }
}
