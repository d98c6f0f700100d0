import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Watch, watchChild, watchedEnvironment } from "../../setup/watched-child.ts";

const main = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));

/** How a command ended. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** What a command runs with. */
export interface CommandSettings extends Watch {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: Uint8Array;
  /** Sends SIGINT once when stderr matches. */
  readonly interruptAt?: RegExp;
}

/** Runs the command line as a process of its own, without a terminal. */
export function runCommandLine(args: readonly string[], settings: CommandSettings): Promise<CommandResult> {
  const { cwd, env, stdin, interruptAt } = settings;
  const child = watchChild(
    spawn(process.execPath, [main, ...args], { cwd, env: watchedEnvironment(env), stdio: ["pipe", "pipe", "pipe"] }),
    settings,
  );
  const stdout: Buffer[] = [];
  let stderr = "";
  let awaited = interruptAt;
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr += chunk;
    if (awaited?.test(stderr) !== true) return;
    awaited = undefined;
    child.kill("SIGINT");
  });
  // A command that ends without reading its stdin closes the pipe.
  child.stdin.on("error", () => undefined);
  child.stdin.end(stdin);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({ code, stdout: Buffer.concat(stdout), stderr });
    });
  });
}
