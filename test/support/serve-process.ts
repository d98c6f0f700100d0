import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import { watchChild, watchedEnvironment } from "../setup/watched-child.ts";

/** A `keystead serve` that is ready. */
export interface Serving {
  readonly process: ChildProcess;
  readonly url: string;
  /** What it said when it was. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Its log so far. */
  readonly errors: () => string;
  /** Ends it and says how it ended. */
  readonly end: (signal?: NodeJS.Signals) => Promise<number | null>;
}

/** The file of the command line. */
export const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;

/** Starts `keystead serve` in a process of its own; killed after the test when it still runs. */
export function start(...args: string[]): {
  readonly child: ChildProcess;
  readonly errors: () => string;
  readonly firstLine: Promise<string | undefined>;
} {
  const child = watchChild(
    spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, "serve", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: watchedEnvironment(),
    }),
  );
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const firstLine = lines.next().then(({ value, done }) => (done === true ? undefined : value));
  return { child, errors: () => errors, firstLine };
}

/** Starts `keystead serve` and waits until it is ready. */
export async function serve(...args: string[]): Promise<Serving> {
  const { child, errors, firstLine } = start("--json", ...args);
  const line = await firstLine;
  if (line === undefined) throw new Error(`it did not start: ${errors()}`);
  const ready = JSON.parse(line) as Record<string, unknown>;
  return {
    process: child,
    url: String(ready["url"]),
    ready,
    errors,
    end: async (signal = "SIGTERM") => {
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
      return child.exitCode;
    },
  };
}
