import { spawn } from "node:child_process";

/** One check: a Node program that exits with 0 (passed), {@link skipExitCode} (skipped) or anything else (failed). */
export interface Step {
  readonly name: string;
  /** Arguments of Node: the program's file and its arguments. */
  readonly args: readonly [string, ...string[]];
  /** Name of an earlier step without which this one makes no sense. */
  readonly needs?: string;
}

/** How a step ended. For a skipped step `output` says why. */
export interface StepResult {
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  readonly seconds: number;
  readonly output: string;
}

/** The exit code by which a step says that it can't be done here; its output says why. The same as in GNU Automake. */
export const skipExitCode = 77;

function runStep({ name, args }: Step, cwd: string, env: NodeJS.ProcessEnv): Promise<StepResult> {
  const started = performance.now();
  const chunks: Buffer[] = [];
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", ...args], {
    cwd,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    const end = (outcome: StepResult["outcome"], note = ""): void => {
      const output = `${Buffer.concat(chunks).toString("utf8")}${note}`.trim();
      resolve({ name, outcome, seconds: (performance.now() - started) / 1000, output });
    };
    child.once("error", (error) => {
      end("failed", error.message);
    });
    child.once("close", (code, signal) => {
      if (code === 0) end("passed");
      else if (code === skipExitCode) end("skipped");
      else end("failed", `\n(${signal ?? `exit code ${String(code)}`})`);
    });
  });
}

/**
 * Runs the steps in their order, at most `limit` at once; a step waits for the one it needs, and fails with it.
 * @param onEnd - called as each step ends
 */
export async function runSteps(
  steps: readonly Step[],
  options: { readonly limit: number; readonly cwd: string; readonly env: NodeJS.ProcessEnv; readonly onEnd: (result: StepResult) => void },
): Promise<StepResult[]> {
  const started = new Map<string, Promise<StepResult>>();
  const queue = [...steps];
  const start = async (step: Step): Promise<StepResult> => {
    const needed = step.needs === undefined ? undefined : await started.get(step.needs);
    const result: StepResult =
      needed === undefined || needed.outcome === "passed"
        ? await runStep(step, options.cwd, options.env)
        : { name: step.name, outcome: "failed", seconds: 0, output: `not run: ${needed.name} ${needed.outcome}` };
    options.onEnd(result);
    return result;
  };
  const work = async (): Promise<void> => {
    for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
      const running = start(step);
      started.set(step.name, running);
      await running;
    }
  };
  await Promise.all(Array.from({ length: options.limit }, work));
  return Promise.all([...started.values()]);
}
