import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import { watchChild, watchedEnvironment } from "../setup/watched-child.ts";

/** A program of the tests, run by the same Node in a process of its own. */
export interface Child {
  readonly process: ChildProcess;
  /** The next line of its standard output; undefined at the end. */
  nextLine(): Promise<string | undefined>;
  /** Every line from now to the end, once it has exited. @throws Error when it exits with another code than 0 */
  finish(): Promise<string[]>;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
}

/**
 * Starts a TypeScript program; killed after the test when it still runs.
 * @param starter a command that runs the command given to it, and kills it when it is killed itself
 */
export function startChild(program: URL, args: readonly string[], starter: readonly string[] = []): Child {
  const command = [...starter, process.execPath, "--disable-warning=ExperimentalWarning", program.pathname, ...args];
  const [file = "", ...rest] = command;
  const child = watchChild(spawn(file, rest, { stdio: ["pipe", "pipe", "pipe"], env: watchedEnvironment() }));
  const exited = once(child, "exit");
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await exited;
  };
  onTestFinished(async () => {
    await kill();
    // What nobody read is recorded, too.
    child.stdout.resume();
  });
  const nextLine = async (): Promise<string | undefined> => {
    const line = await lines.next();
    return line.done === true ? undefined : line.value;
  };
  return {
    process: child,
    nextLine,
    kill,
    finish: async () => {
      const all: string[] = [];
      for (let line = await nextLine(); line !== undefined; line = await nextLine()) all.push(line);
      await exited;
      if (child.exitCode !== 0) throw new Error(`the child ended with ${String(child.exitCode ?? child.signalCode)}: ${errors}`);
      return all;
    },
  };
}
