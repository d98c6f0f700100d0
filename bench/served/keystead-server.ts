import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "../../test/support/free-port.ts";

const program = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const startLimit = 60_000;

/** How a server is started. */
export interface ServerOptions {
  readonly workers?: number;
  /** Arguments for Node, before the program. */
  readonly nodeArguments?: readonly string[];
}

/** `keystead serve` as a process of its own, on a fresh data folder: tokens, policies, durable audit and log lines as everybody has them. */
export class KeysteadServer {
  readonly url: string;
  /** Of an administrator. */
  readonly token: string;
  readonly pid: number;
  readonly #child: ChildProcess;

  private constructor(url: string, token: string, child: ChildProcess) {
    this.url = url;
    this.token = token;
    this.pid = child.pid ?? 0;
    this.#child = child;
  }

  /** Resolves when it is ready. @param folder - what it keeps and says comes under this */
  static async start(folder: string, { workers = 1, nodeArguments = [] }: ServerOptions = {}): Promise<KeysteadServer> {
    const port = String(await freePort());
    const url = `http://127.0.0.1:${port}`;
    const data = join(folder, `keystead-${port}`);
    const log = openSync(`${data}.log`, "a", 0o600);
    const options = ["--init", "--data", data, "--port", port, "--workers", String(workers), "--token-file", `${data}.token`];
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", ...nodeArguments, program, "serve", ...options], {
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    const limit = performance.now() + startLimit;
    while (!(await isReady(url))) {
      if (child.exitCode !== null || performance.now() > limit)
        throw new Error(`Keystead did not start: ${readFileSync(`${data}.log`, "utf8")}`);
      await pause(50);
    }
    return new KeysteadServer(url, readFileSync(`${data}.token`, "utf8").trim(), child);
  }

  get headers(): Readonly<Record<string, string>> {
    return { authorization: `Bearer ${this.token}` };
  }

  /** A call that must succeed. @returns the JSON of its answer, if it has any */
  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { ...this.headers, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`Keystead answers ${method} ${path} with ${response.status}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exit;
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
