import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { errorCodes } from "../errors.ts";

/** Of what a worker says at its end, so much is kept. */
const mostWords = 4_000;

/**
 * Further processes that join a job: each runs `jobs resume`. They are told to stop with this process, and if it is killed they
 * go on, so that the work ends.
 */
export class JobWorkers {
  readonly #dataset: string;
  readonly #count: number;
  readonly #options: readonly string[];
  readonly #ends: Promise<string | undefined>[] = [];
  readonly #children: ChildProcess[] = [];
  #isStarted = false;

  /** @param options for every one of them, before the command */
  constructor(dataset: string, count: number, options: readonly string[]) {
    this.#dataset = dataset;
    this.#count = count;
    this.#options = options;
  }

  /** Called when the job has begun; later calls do nothing. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const [, program = ""] = process.argv;
    const words = [...process.execArgv, program, ...this.#options, "--no-progress", "jobs", "resume", "--", this.#dataset];
    for (let number = 0; number < this.#count; number += 1) {
      // In a process group of its own: Ctrl-C reaches it once, by this process.
      const child = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "pipe"], detached: true });
      this.#children.push(child);
      this.#ends.push(endOf(child));
    }
  }

  /** Tells them to stop after the rows at hand. */
  stop(): void {
    this.#isStarted = true;
    for (const child of this.#children) child.kill("SIGTERM");
  }

  /** Waits for their ends; what those that failed said. */
  async ended(): Promise<string[]> {
    return (await Promise.all(this.#ends)).filter((failure) => failure !== undefined);
  }
}

/** How a worker may end although nothing is wrong: the job was done when it came, was stopped, or left rows over, which is known. */
const expected: ReadonlySet<number> = new Set([
  0,
  errorCodes.CONFLICT.exit,
  errorCodes.CANCELLED.exit,
  errorCodes.VERIFICATION_FAILED.exit,
]);

async function endOf(child: ChildProcess): Promise<string | undefined> {
  let words = "";
  child.stderr?.setEncoding("utf8").on("data", (part: string) => {
    words = `${words}${part}`.slice(-mostWords);
  });
  try {
    await once(child, "close");
  } catch (error) {
    return error instanceof Error ? error.message : "it can't be started";
  }
  if (child.exitCode !== null && expected.has(child.exitCode)) return undefined;
  return words.trim() === "" ? `it ended with ${child.signalCode ?? String(child.exitCode)}` : words.trim();
}
