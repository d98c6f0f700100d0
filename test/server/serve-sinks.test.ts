import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { parseRecord } from "../../src/audit/record.ts";
import { runCommandLine } from "../cli/support/command-line.ts";
import { registerSecret } from "../setup/canary.ts";
import { watchChild, watchedEnvironment } from "../setup/watched-child.ts";
import { main, serve, start } from "../support/serve-process.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

// A machine that is busy for a moment must not shed a call.
const limits = { eventLoopDelayMilliseconds: 60_000 };

/** A data folder whose records go to these sinks, too. */
async function folderWith(...sinks: readonly object[]): Promise<string> {
  const folder = temporaryFolder();
  const made = await runCommandLine(["init", "--dir", folder], { cwd: "/", env: {}, stdin: Buffer.of() });
  expect(made.code).toBe(0);
  const file = join(folder, "keystead.json");
  const configuration: unknown = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ ...Object(configuration), audit: { sinks }, server: { limits } }));
  return folder;
}

function tokenIn(file: string): string {
  const token = readFileSync(file, "utf8").trim();
  registerSecret(token);
  return token;
}

async function ask(url: string, token?: string): Promise<{ readonly status: number; readonly text: string }> {
  const headers = { ...(token !== undefined && { authorization: `Bearer ${token}` }), connection: "close" };
  const answer = await fetch(url, { headers });
  return { status: answer.status, text: await answer.text() };
}

/** A named pipe, held open so that writing to it waits for a reader instead of failing. */
function makePipe(path: string) {
  execFileSync("mkfifo", ["-m", "600", path]);
  const end = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(end));
  const buffer = Buffer.alloc(65_536, "x");
  /** Moves bytes until the pipe takes or has no more. */
  const exhaust = (move: () => number): void => {
    try {
      while (move() > 0);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
  };
  return {
    end,
    fill: () => {
      exhaust(() => writeSync(end, buffer));
      exhaust(() => writeSync(end, "x"));
    },
    drain: () => exhaust(() => readSync(end, buffer)),
  };
}

/** Starts a server whose stdout is a named pipe. */
async function serveInto(...args: string[]) {
  const pipe = makePipe(join(temporaryFolder(), "stdout"));
  const child = watchChild(
    spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, "serve", "--json", ...args], {
      stdio: ["ignore", pipe.end, "pipe"],
      env: watchedEnvironment(),
    }),
  );
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  let errors = "";
  child.stderr?.on("data", (text: Buffer) => (errors += text.toString()));
  await expect.poll(() => errors, { timeout: 20_000 }).toMatch(/"url":"/);
  return { pipe, child, url: /"url":"(http:[^"]+)"/.exec(errors)?.[1] ?? "", errors: () => errors };
}

describe("a sink of keystead serve that hangs", () => {
  it("stops answers and turns readiness red until stdout is read again, and does not keep the server from ending", async () => {
    const folder = await folderWith({ type: "stdout" });
    const tokenFile = join(folder, "token");
    const { pipe, child, url, errors } = await serveInto("--data", folder, "--port", "0", "--token-file", tokenFile);
    const token = tokenIn(tokenFile);
    pipe.fill();
    const refusal = { status: 503, text: expect.stringMatching(/AUDIT_UNAVAILABLE.*stdout.*within 5 s/) as string };
    expect(await ask(`${url}/v1/keys`, token)).toMatchObject(refusal);
    expect(await ask(`${url}/readyz`)).toMatchObject({
      status: 503,
      text: expect.stringMatching(/audit: stdout: it did not take its records within 5 s; see that/) as string,
    });
    expect(await ask(`${url}/v1/keys`, token)).toMatchObject(refusal);
    pipe.drain();
    await expect.poll(() => ask(`${url}/readyz`), { timeout: 10_000 }).toMatchObject({ status: 200 });
    expect(await ask(`${url}/v1/keys`, token)).toMatchObject({ status: 200 });
    pipe.fill();
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    expect(await exited).toEqual([1, null]);
    expect(errors()).toContain("the audit sink stdout did not take its records in time");
    expect(errors()).not.toContain("the store did not answer");
  });

  it("does not keep a server with workers from ending", async () => {
    const folder = await folderWith({ type: "stdout" });
    const { pipe, child, errors } = await serveInto("--data", folder, "--port", "0", "--workers", "2");
    pipe.fill();
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    expect(await exited).toEqual([1, null]);
    expect(errors()).toContain("the audit sink stdout did not take its records in time");
  });

  it("does not keep the server from ending when a file's disk does not answer", async () => {
    const folder = await folderWith({ type: "file", path: "audit.jsonl" });
    const path = join(folder, "audit.jsonl");
    const server = await serve("--data", folder, "--port", "0");
    rmSync(path);
    // Whoever writes to it waits as for a disk that is gone.
    makePipe(path).fill();
    expect(await server.end()).toBe(null);
    expect(server.process.signalCode).toBe("SIGKILL");
    expect(server.errors()).toContain(`the audit sink file:${path} did not take its records in time`);
    expect(server.errors()).not.toContain("the store did not answer");
  });
});

describe("a file sink of keystead serve", () => {
  it("that fails stops answers and turns readiness red with its name and the cause, until it works again", async () => {
    const folder = await folderWith({ type: "file", path: "lines/audit.jsonl" });
    const [place, away] = [join(folder, "lines"), join(folder, "away")];
    mkdirSync(place);
    const tokenFile = join(folder, "token");
    const { url, end } = await serve("--data", folder, "--port", "0", "--token-file", tokenFile);
    const token = tokenIn(tokenFile);
    expect(await ask(`${url}/v1/keys`, token)).toMatchObject({ status: 200 });
    expect(await ask(`${url}/readyz`)).toMatchObject({ status: 200 });
    renameSync(place, away);
    const refused = await ask(`${url}/v1/keys`, token);
    expect(refused).toMatchObject({ status: 503, text: expect.stringContaining("AUDIT_UNAVAILABLE") as string });
    await expect.poll(() => ask(`${url}/readyz`), { timeout: 10_000 }).toMatchObject({ status: 503 });
    const red: unknown = JSON.parse((await ask(`${url}/readyz`)).text);
    const sink = join(place, "audit.jsonl");
    expect(red).toMatchObject({ detail: `not ready: audit: file:${sink}: ENOENT: no such file or directory, open '${sink}'` });
    mkdirSync(place);
    // Nobody calls a server that is not ready: looking at it is enough.
    await expect.poll(() => ask(`${url}/readyz`), { timeout: 10_000 }).toMatchObject({ status: 200 });
    expect((await ask(`${url}/metrics`, token)).text).toContain('keystead_ready{check="audit"} 1');
    expect(await ask(`${url}/v1/keys`, token)).toMatchObject({ status: 200 });
    expect(await end()).toBe(0);
    // What was refused when the sink failed was durable in the journal, so the sink owed it.
    const records = readFileSync(sink, "utf8")
      .split("\n")
      .map((line) => parseRecord(Buffer.from(line))?.action);
    expect(records.filter((action) => action === "keys.list")).toHaveLength(2);
  });
});

describe.each(["1", "2"])("a sink that takes no records when keystead serve starts, with %s workers,", (workers) => {
  it("ends it with the sink's name and the cause, said once", async () => {
    const folder = await folderWith({ type: "file", path: "none/audit.jsonl" });
    const { child, errors } = start("--data", folder, "--port", "0", "--workers", workers);
    await once(child, "close");
    expect(child.exitCode).toBe(8);
    const sink = join(folder, "none", "audit.jsonl");
    const cause = `ENOENT: no such file or directory, open '${sink}'`;
    expect(errors()).toContain(
      `keystead: the audit sink file:${sink} takes no records (${cause}), so nothing is answered; repair it, then try again\n`,
    );
  });
});

describe("the stdout sink of keystead serve", () => {
  it.each([
    { workers: 1, form: "--json" },
    { workers: 2, form: "text" },
  ])("has stdout for whole audit lines alone, with $workers workers", async ({ workers, form }) => {
    const folder = await folderWith({ type: "stdout" });
    const tokenFile = join(folder, "token");
    const given = ["--data", folder, "--port", "0", "--workers", String(workers), "--token-file", tokenFile];
    const { child, errors } = start(...(form === "--json" ? [form, ...given] : given));
    let written = "";
    child.stdout?.on("data", (text: Buffer) => (written += text.toString()));
    const readyAt = /(?:"url":"|Keystead serves \S+ at )(http:[^";\s]+)/;
    await expect.poll(errors, { timeout: 20_000 }).toMatch(readyAt);
    const url = readyAt.exec(errors())?.[1] ?? "";
    const token = tokenIn(tokenFile);
    // Long lines, as those of several processes would be torn by each other.
    const items = Array.from({ length: 300 }, () => ({ key: "main", text: "x" }));
    const calls = Array.from({ length: 20 }, async () => {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", connection: "close" };
      const answer = await fetch(`${url}/v1/encrypt`, { method: "POST", headers, body: JSON.stringify({ items }) });
      await answer.arrayBuffer();
      return { status: answer.status, id: answer.headers.get("x-request-id") };
    });
    const answers = await Promise.all(calls);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const ended = new Promise((settle) => child.once("close", settle));
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    const records = written
      .trimEnd()
      .split("\n")
      .map((line) => parseRecord(Buffer.from(line)));
    expect(records).not.toContain(undefined);
    const requests = new Set(records.map((record) => record?.request?.id));
    expect(answers.filter(({ id }) => !requests.has(id ?? ""))).toEqual([]);
    expect(written + errors()).not.toContain(token);
  });
});
