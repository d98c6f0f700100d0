import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** The bare route of `bare-route.ts`, in a process of its own. */
export class BareServer {
  readonly url: string;
  readonly pid: number;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.pid = child.pid ?? 0;
    this.#child = child;
  }

  static async start(): Promise<BareServer> {
    const program = new URL("bare-route.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], { stdio: ["ignore", "pipe", "inherit"] });
    const line = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
    if (line.done === true) throw new Error("the bare route did not start");
    return new BareServer(`http://127.0.0.1:${line.value}`, child);
  }

  async stop(): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exit;
  }
}
