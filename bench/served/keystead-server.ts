import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "../../test/support/free-port.ts";

const program = new URL("../../src/cli/main.ts", import.meta.url).pathname;
const startLimit = 60_000;
const run = promisify(execFile);
const nodeOptions = ["--disable-warning=ExperimentalWarning"];

/** How a server is started. */
export interface ServerOptions {
  readonly workers?: number;
  /** Arguments for Node, before the program. */
  readonly nodeArguments?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files of SQLite databases that it may reach, by name. */
  readonly databases?: Readonly<Record<string, string>>;
}

/** `keystead serve` as a process of its own, on a fresh data folder: tokens, policies, durable audit and log lines as everybody has them. */
export class KeysteadServer {
  readonly url: string;
  /** Of an administrator. */
  readonly token: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #data: string;

  private constructor(url: string, token: string, child: ChildProcess, data: string) {
    this.url = url;
    this.token = token;
    this.pid = child.pid ?? 0;
    this.#child = child;
    this.#data = data;
  }

  /** Resolves when it is ready. @param folder - what it keeps and says comes under this */
  static async start(
    folder: string,
    { workers = 1, nodeArguments = [], env = {}, databases = {} }: ServerOptions = {},
  ): Promise<KeysteadServer> {
    const port = String(await freePort());
    const url = `http://127.0.0.1:${port}`;
    const data = join(folder, `keystead-${port}`);
    const log = openSync(`${data}.log`, "a", 0o600);
    await runCommand(data, ["init"]);
    allowDatabases(join(data, "keystead.json"), databases);
    const options = ["--data", data, "--port", port, "--workers", String(workers), "--token-file", `${data}.token`];
    const child = spawn(process.execPath, [...nodeOptions, ...nodeArguments, program, "serve", ...options], {
      stdio: ["ignore", log, log],
      env: { ...process.env, ...env },
    });
    closeSync(log);
    const limit = performance.now() + startLimit;
    while (!(await isReady(url))) {
      if (child.exitCode !== null || performance.now() > limit)
        throw new Error(`Keystead did not start: ${readFileSync(`${data}.log`, "utf8")}`);
      await pause(50);
    }
    return new KeysteadServer(url, readFileSync(`${data}.token`, "utf8").trim(), child, data);
  }

  get headers(): Readonly<Record<string, string>> {
    return { authorization: `Bearer ${this.token}` };
  }

  /** The same server for whoever has another token. */
  as(token: string): KeysteadServer {
    return new KeysteadServer(this.url, token, this.#child, this.#data);
  }

  /** A command of the CLI on the same data folder, in a process of its own. @returns the JSON that it prints */
  async command(...args: readonly string[]): Promise<unknown> {
    return JSON.parse(await runCommand(this.#data, args));
  }

  /** A call that must succeed. @returns the JSON of its answer, if it has any */
  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await this.#send(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`Keystead answers ${method} ${path} with ${response.status}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  /** Status of a call, whatever it answers. */
  async statusOf(method: string, path: string, body?: unknown): Promise<number> {
    const response = await this.#send(method, path, body);
    await response.body?.cancel();
    return response.status;
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exit;
  }

  #send(method: string, path: string, body: unknown): Promise<Response> {
    return fetch(`${this.url}${path}`, {
      method,
      headers: { ...this.headers, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }
}

async function runCommand(data: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [...nodeOptions, program, ...args, "--dir", data]);
  return stdout;
}

function allowDatabases(file: string, databases: Readonly<Record<string, string>>): void {
  const configuration: unknown = JSON.parse(readFileSync(file, "utf8"));
  const urls = Object.fromEntries(Object.entries(databases).map(([name, path]) => [name, `sqlite:${path}`]));
  writeFileSync(file, JSON.stringify({ ...Object(configuration), databases: urls }), { mode: 0o600 });
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
