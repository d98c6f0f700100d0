import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { registerSecret } from "../setup/canary.ts";
import { watchChild } from "../setup/watched-child.ts";
import { freePort } from "./free-port.ts";
import { openbaoProgram } from "./openbao-program.ts";

const startLimit = 60_000;

const initSchema = z.object({ keys_base64: z.array(z.string()).length(1), root_token: z.string() });

/** A real OpenBao of one's own: on disk (raft), its file audit device on, the transit engine mounted, gone when it is stopped. */
export class OpenbaoServer {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: string;
  #token = "";

  private constructor(url: string, child: ChildProcess, folder: string) {
    this.url = url;
    this.#child = child;
    this.#folder = folder;
  }

  /** Gets the program where it is missing, starts it, initialises and unseals it. */
  static async start(): Promise<OpenbaoServer> {
    const program = openbaoProgram();
    const folder = mkdtempSync(join(tmpdir(), "keystead-openbao-"));
    const [port, clusterPort] = [String(await freePort()), String(await freePort())];
    mkdirSync(join(folder, "data"));
    const settings = join(folder, "bao.json");
    writeFileSync(settings, JSON.stringify(settingsOf(folder, port, clusterPort)));
    const child = spawn(program, ["server", `-config=${settings}`, "-log-level=warn"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, HOME: folder },
    });
    const said: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => said.push(text));
    watchChild(child);
    const server = new OpenbaoServer(`http://127.0.0.1:${port}`, child, folder);
    try {
      await server.#until("/v1/sys/health", [501]);
      const init = initSchema.parse(await server.call("PUT", "/v1/sys/init", { secret_shares: 1, secret_threshold: 1 }));
      for (const secret of [init.root_token, ...init.keys_base64]) registerSecret(secret);
      await server.call("PUT", "/v1/sys/unseal", { key: init.keys_base64[0] });
      server.#token = init.root_token;
      await server.#until("/v1/sys/health", [200]);
      await server.call("POST", "/v1/sys/mounts/transit", { type: "transit" });
      return server;
    } catch (cause) {
      await server.stop();
      throw new Error(`OpenBao did not start: ${said.join("")}`, { cause });
    }
  }

  /** The root token. */
  get token(): string {
    return this.#token;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** A call as root. @returns the JSON of its answer, if it has any */
  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { "content-type": "application/json", ...(this.#token !== "" && { "x-vault-token": this.#token }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`OpenBao answers ${method} ${path} with ${String(response.status)}: ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  /** Ends it, and removes what it kept. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, "exit");
      this.#child.kill("SIGKILL");
      await exit;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #until(path: string, statuses: readonly number[]): Promise<void> {
    const limit = performance.now() + startLimit;
    while (!statuses.includes(await statusOf(`${this.url}${path}`))) {
      if (this.#child.exitCode !== null || performance.now() > limit) throw new Error("it ended, or is not ready after a minute");
      await pause(100);
    }
  }
}

function settingsOf(folder: string, port: string, clusterPort: string): object {
  return {
    ui: false,
    api_addr: `http://127.0.0.1:${port}`,
    cluster_addr: `http://127.0.0.1:${clusterPort}`,
    listener: { tcp: { address: `127.0.0.1:${port}`, tls_disable: true } },
    storage: { raft: { path: join(folder, "data"), node_id: "n1", performance_multiplier: "1" } },
    audit: { file: { "to-disk": { description: "log to disk", options: { file_path: join(folder, "audit.log") } } } },
  };
}

async function statusOf(address: string): Promise<number> {
  try {
    const response = await fetch(address);
    await response.body?.cancel();
    return response.status;
  } catch {
    return 0;
  }
}
