import { isUtf8 } from "node:buffer";
import { type ChildProcess, spawnSync } from "node:child_process";
import { recordOutput, testRunVariable } from "./canary.ts";

/** The one way in which what processes of the tests print, and their diagnostic reports, come to be searched for secrets. */

/** What may be shown: the stdout of a command whose purpose is to show plaintext is not recorded. */
export interface Watch {
  readonly showsPlaintext?: boolean;
}

/** How a process that {@link runWatched} waited for ended. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What {@link runWatched} gives the process. */
export interface WatchedSettings extends Watch {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  readonly stdio?: readonly (number | "pipe")[];
}

const childReport = new URL("child-report.ts", import.meta.url).href;
/** Flushes of the processes whose output has not ended. */
const unfinished = new Set<() => void>();

/** Bytes that are no text are recorded as hex, in which a key that stands there as bytes is found. */
function recordBytes(bytes: Buffer | null): void {
  if (bytes !== null && bytes.length > 0)
    recordOutput(isUtf8(bytes) ? bytes.toString("utf8") : `${bytes.toString("latin1")}\n${bytes.toString("hex")}`);
}

/**
 * An environment in which a Node process leaves a diagnostic report at its end. Its environment is left out, as tests put canaries
 * there, and so is the network, as it takes seconds to name its hosts. Nothing changes when there is no test run to be searched.
 */
export function watchedEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const folder = process.env[testRunVariable];
  if (folder === undefined) return env;
  const options = [env["NODE_OPTIONS"] ?? "", `--import=${childReport}`, "--report-exclude-env", "--report-exclude-network"];
  return { ...env, [testRunVariable]: folder, NODE_OPTIONS: options.join(" ").trim() };
}

/** Records everything that a process prints, also when it is killed. Call it right after the start. */
export function watchChild<Child extends ChildProcess>(child: Child, { showsPlaintext = false }: Watch = {}): Child {
  const chunks: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  // Each stream as one text: a secret may be printed in pieces.
  const flush = (): void => {
    unfinished.delete(flush);
    for (const stream of Object.values(chunks)) recordBytes(Buffer.concat(stream.splice(0)));
  };
  const watch = (name: "stdout" | "stderr"): void => {
    child[name]?.on("data", (chunk: Buffer | string) => {
      unfinished.add(flush);
      chunks[name].push(Buffer.from(chunk));
    });
  };
  if (!showsPlaintext) watch("stdout");
  watch("stderr");
  child.once("close", flush);
  return child;
}

/** Records what processes printed that have not ended. */
export function recordUnfinished(): void {
  for (const flush of unfinished) flush();
}

/** Runs a process to its end and records what it printed. */
export function runWatched(file: string, args: readonly string[], { showsPlaintext = false, ...settings }: WatchedSettings = {}): Ended {
  const { stdio, ...others } = settings;
  const { status, stdout, stderr, error } = spawnSync(file, args, { ...others, ...(stdio !== undefined && { stdio: [...stdio] }) });
  if (error !== undefined) throw error;
  const text = (bytes: Buffer | null): string => bytes?.toString("utf8") ?? "";
  if (!showsPlaintext) recordBytes(stdout);
  recordBytes(stderr);
  return { status, stdout: text(stdout), stderr: text(stderr) };
}
