import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished } from "vitest";
import { registerSecret } from "../setup/canary.ts";
import { watchChild, watchedEnvironment } from "../setup/watched-child.ts";
import { runCommandLine } from "../cli/support/command-line.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

interface Serving {
  readonly process: ChildProcess;
  readonly url: string;
  readonly ready: Readonly<Record<string, unknown>>;
  readonly errors: () => string;
  /** Ends it and says how it ended. */
  readonly end: (signal?: NodeJS.Signals) => Promise<number | null>;
}

const main = new URL("../../src/cli/main.ts", import.meta.url).pathname;

function start(...args: string[]): {
  readonly child: ChildProcess;
  readonly errors: () => string;
  readonly firstLine: Promise<string | undefined>;
} {
  const child = watchChild(
    spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, "serve", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: watchedEnvironment(),
    }),
  );
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const firstLine = lines.next().then(({ value, done }) => (done === true ? undefined : value));
  return { child, errors: () => errors, firstLine };
}

async function serve(...args: string[]): Promise<Serving> {
  const { child, errors, firstLine } = start("--json", ...args);
  const line = await firstLine;
  if (line === undefined) throw new Error(`it did not start: ${errors()}`);
  const ready = JSON.parse(line) as Record<string, unknown>;
  return {
    process: child,
    url: String(ready["url"]),
    ready,
    errors,
    end: async (signal = "SIGTERM") => {
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
      return child.exitCode;
    },
  };
}

async function post(
  url: string,
  path: string,
  token: string,
  body: unknown,
): Promise<{ readonly status: number; readonly json: Readonly<Record<string, unknown>> }> {
  const answer = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

describe("keystead serve", () => {
  it("makes a folder and a token, serves, and ends cleanly", async () => {
    const folder = join(temporaryFolder(), "data");
    const tokenFile = join(folder, "token");
    const server = await serve("--init", "--data", folder, "--port", "0", "--token-file", tokenFile);
    expect(server.ready).toMatchObject({ folder, tokenFile, workers: 1 });
    const token = readFileSync(tokenFile, "utf8").trim();
    registerSecret(token);
    expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
    expect(await (await fetch(`${server.url}/readyz`)).json()).toMatchObject({ ready: true });
    expect(await post(server.url, "/v1/keys", token, { name: "pii-email", purpose: "pii" })).toMatchObject({ status: 201 });
    const sealed = await post(server.url, "/v1/encrypt", token, { key: "pii-email", text: "hello" });
    expect(sealed.json["ciphertext"]).toMatch(/^ks1:pii-email:/);
    const opened = await post(server.url, "/v1/decrypt", token, { ciphertext: sealed.json["ciphertext"] });
    expect(opened.json).toMatchObject({ text: "hello" });
    expect(await post(server.url, "/v1/encrypt", `${token}x`, { key: "pii-email", text: "hello" })).toMatchObject({ status: 401 });
    expect(await server.end()).toBe(0);
    expect(server.errors()).toContain('"route":"/v1/encrypt"');
    expect(server.errors()).not.toContain(token);
    // What is there is served again, and its tokens hold.
    const again = await serve("--data", folder, "--port", "0");
    expect(await post(again.url, "/v1/decrypt", token, { ciphertext: sealed.json["ciphertext"] })).toMatchObject({
      json: { text: "hello" },
    });
    expect(await again.end("SIGINT")).toBe(0);
  });

  it("says how to get a token where nobody sees one", async () => {
    const folder = join(temporaryFolder(), "data");
    const { child, firstLine, errors } = start("--init", "--data", folder, "--port", "0");
    let rest = "";
    child.stdout?.on("data", (text: Buffer) => (rest += text.toString()));
    await firstLine;
    await expect.poll(() => rest).toContain("/v1/encrypt");
    const [, create = ""] = /\$\((?:npm run -s )?keystead (?:-- )?(.*)\)/.exec(rest) ?? [];
    const made = await runCommandLine(create.split(" "), { cwd: "/", env: {}, stdin: Buffer.of() });
    expect({ create, code: made.code, stderr: made.stderr }).toMatchObject({ code: 0, stderr: "" });
    const token = made.stdout.toString("utf8").trim();
    registerSecret(token);
    const [, url = ""] = / at (http:\S+);/.exec(rest) ?? [];
    expect(await post(url, "/v1/keys", token, { name: "pii-email", purpose: "pii" })).toMatchObject({ status: 201 });
    expect(await post(url, "/v1/encrypt", token, { key: "pii-email", text: "hello" })).toMatchObject({ status: 200 });
    expect(rest + errors()).not.toContain("kst_");
  });

  it("needs a folder, unless it may make one", async () => {
    const { child, errors } = start("--data", join(temporaryFolder(), "none"));
    await once(child, "close");
    expect(child.exitCode).toBe(8);
    expect(errors()).toContain("keystead init");
  });

  it("refuses other addresses than loopback without TLS", async () => {
    const folder = join(temporaryFolder(), "data");
    const { child, errors } = start("--init", "--data", folder, "--host", "0.0.0.0");
    await once(child, "close");
    expect(child.exitCode).toBe(2);
    expect(errors()).toContain("host: is not loopback");
  });

  it("serves by several processes, replaces one that is lost, and ends them all", async () => {
    const folder = join(temporaryFolder(), "data");
    const tokenFile = join(folder, "token");
    const server = await serve("--init", "--data", folder, "--port", "0", "--workers", "2", "--token-file", tokenFile);
    const token = readFileSync(tokenFile, "utf8").trim();
    registerSecret(token);
    const ready = async (): Promise<number | string> => {
      const answer = await fetch(`${server.url}/readyz`, { headers: { connection: "close" } }).catch(() => undefined);
      return answer?.status ?? "no answer";
    };
    await expect.poll(ready, { timeout: 20_000 }).toBe(200);
    expect(await post(server.url, "/v1/keys", token, { name: "pii-email", purpose: "pii" })).toMatchObject({ status: 201 });
    const metrics = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
    expect(metrics.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const numbers = await metrics.text();
    expect(numbers).toContain("\nkeystead_workers 2\n");
    expect(numbers).toContain('keystead_ready{check="store"} 1');
    const [lost = 0] = workersOf(server.process.pid);
    process.kill(lost, "SIGKILL");
    await expect.poll(server.errors, { timeout: 20_000 }).toContain("a worker ended and is replaced");
    await expect.poll(() => workersOf(server.process.pid).filter((pid) => pid !== lost).length, { timeout: 20_000 }).toBe(2);
    const sealed = await post(server.url, "/v1/encrypt", token, { key: "pii-email", text: "hello" });
    expect(sealed).toMatchObject({ status: 200 });
    expect(await server.end()).toBe(0);
    await expect(fetch(`${server.url}/livez`)).rejects.toThrow();
  });

  it("ends with what its workers say when none can serve", async () => {
    const folder = join(temporaryFolder(), "data");
    const first = await serve("--init", "--data", folder, "--port", "0");
    const { port } = new URL(first.url);
    const { child, errors } = start("--data", folder, "--port", port, "--workers", "2");
    await once(child, "close");
    expect(child.exitCode).toBe(2);
    expect(errors()).toContain("something listens there already");
    await first.end();
  });
});

/** Process numbers of the children of a process. */
function workersOf(pid: number | undefined): number[] {
  const text = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}
