import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { ErrorCode } from "../errors.ts";

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
  readonly #problems: string | undefined;
  readonly #ends: Promise<string | undefined>[] = [];
  readonly #children: ChildProcess[] = [];
  #isStarted = false;
  #isStopped = false;
  #starting: Promise<unknown> = Promise.resolve();

  /**
   * @param options for every one of them, before the command
   * @param problems file of this process; each worker makes another, `FILE.2` and so on
   */
  constructor(dataset: string, count: number, options: readonly string[], problems: string | undefined) {
    this.#dataset = dataset;
    this.#count = count;
    this.#options = options;
    this.#problems = problems;
  }

  /** Called when the job has begun; later calls do nothing. @param job its id, or undefined when it does not run any more */
  start(job: () => Promise<string | undefined>): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    if (this.#count > 0) this.#starting = job().then((id) => (id === undefined ? undefined : this.#spawn(id)));
  }

  /** Tells them to stop after the rows at hand. */
  stop(): void {
    this.#isStarted = true;
    this.#isStopped = true;
    for (const child of this.#children) child.kill("SIGTERM");
  }

  /** Waits for their ends; what those that failed said. */
  async ended(): Promise<string[]> {
    await this.#starting;
    return (await Promise.all(this.#ends)).filter((failure) => failure !== undefined);
  }

  #spawn(job: string): void {
    const [, program = ""] = process.argv;
    for (let number = 2; number <= this.#count + 1 && !this.#isStopped; number += 1) {
      const problems = this.#problems === undefined ? [] : ["--problems", `${this.#problems}.${String(number)}`];
      const words = [
        program,
        ...this.#options,
        "--json",
        "--no-progress",
        "jobs",
        "resume",
        "--job",
        job,
        ...problems,
        "--",
        this.#dataset,
      ];
      // In a process group of its own: Ctrl-C reaches it once, by this process.
      const child = spawn(process.execPath, [...process.execArgv, ...words], { stdio: ["ignore", "ignore", "pipe"], detached: true });
      this.#children.push(child);
      this.#ends.push(endOf(child));
    }
  }
}

/** How a worker may end although nothing is wrong: the job was done when it came, was stopped, or left rows over, which is known. */
const expected: ReadonlySet<string> = new Set(["CONFLICT", "CANCELLED", "JOB_INCOMPLETE", "VERIFICATION_FAILED"] satisfies ErrorCode[]);

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
  const code = /"code":"([A-Z_]+)"/.exec(words)?.[1];
  const isExpected = code === undefined ? child.exitCode !== null : expected.has(code);
  if (isExpected || child.signalCode === "SIGTERM") return undefined;
  return words.trim() === "" ? `it ended with ${child.signalCode ?? String(child.exitCode)}` : words.trim();
}
