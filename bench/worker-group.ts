import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

interface Worker {
  readonly child: ChildProcess;
  readonly lines: AsyncIterator<string, undefined>;
}

/** Workers in processes of their own, ready before anything is measured. */
export class WorkerGroup {
  readonly #workers: readonly Worker[];
  /** The most memory that one of them has had, in MiB. */
  mostMemory = 0;

  private constructor(workers: readonly Worker[]) {
    this.#workers = workers;
  }

  static async start(count: number, store: string, crm: string, key: Buffer): Promise<WorkerGroup> {
    const program = new URL("worker.ts", import.meta.url).pathname;
    const env = { ...process.env, KEYSTEAD_BENCH_KEY: key.toString("hex") };
    const workers = Array.from({ length: count }, () => {
      const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, store, crm], {
        stdio: ["pipe", "pipe", "inherit"],
        env,
      });
      return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
    });
    const group = new WorkerGroup(workers);
    await group.#next();
    return group;
  }

  /** Runs a job with all of them to its end. */
  async run(job: "reencrypt" | "index"): Promise<void> {
    this.#tell(`go ${job}`);
    for (const line of await this.#next()) if (!line.startsWith("done")) throw new Error(`a worker ended: ${line}`);
  }

  /** Begins a job that {@link stop} pauses. */
  begin(job: "reencrypt", rate: number): void {
    this.#tell(`go ${job} ${String(rate)}`);
  }

  async stop(): Promise<void> {
    this.#tell("stop");
    await this.#next();
  }

  async close(): Promise<void> {
    for (const { child } of this.#workers) {
      const exited = once(child, "exit");
      child.stdin?.end();
      await exited;
    }
  }

  #tell(line: string): void {
    for (const { child } of this.#workers) child.stdin?.write(`${line}\n`);
  }

  async #next(): Promise<string[]> {
    const lines: string[] = [];
    for (const { lines: own } of this.#workers) {
      const line = await own.next();
      if (line.done === true) throw new Error("a worker ended");
      this.mostMemory = Math.max(this.mostMemory, Number(line.value.split(" ")[1] ?? 0));
      lines.push(line.value);
    }
    return lines;
  }
}
