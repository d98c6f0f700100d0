import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, copyFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { describe, expect, inject, it } from "vitest";
import { registerSecret } from "../setup/canary.ts";
import { runCommandLine } from "../cli/support/command-line.ts";
import { registerMasterKeys } from "../setup/master-keys.ts";
import { TestAuthority } from "../support/certificates.ts";
import { startProxy } from "../support/postgres-proxy.ts";
import { type Serving, serve, start } from "../support/serve-process.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

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

/** Sets what stands under `server` in a data folder's configuration. */
function configureServer(folder: string, server: object): void {
  const file = join(folder, "keystead.json");
  const configuration = JSON.parse(readFileSync(file, "utf8")) as object;
  writeFileSync(file, JSON.stringify({ ...configuration, server }));
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
    // What it prints is the token.
    const made = await runCommandLine(create.split(" "), { cwd: "/", env: {}, stdin: Buffer.of(), showsPlaintext: true });
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

  it.each(["1", "2"])("on every address says one that reaches it, with %s workers", async (workers) => {
    const folder = join(temporaryFolder(), "data");
    await (await serve("--init", "--data", folder, "--port", "0")).end();
    configureServer(folder, { behindProxy: true });
    const server = await serve("--data", folder, "--host", "0.0.0.0", "--port", "0", "--workers", workers);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${server.url}/livez`, { headers: { connection: "close" } })).status).toBe(200);
    expect(await server.end()).toBe(0);
    configureServer(folder, { behindProxy: true, publicUrl: "https://keys.example.org/" });
    const named = await serve("--data", folder, "--host", "0.0.0.0", "--port", "0", "--workers", workers);
    expect(named.url).toBe("https://keys.example.org");
    expect(await named.end()).toBe(0);
  });

  it("ends also when its database is gone without a word", async () => {
    const store = `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`;
    const proxy = await startProxy(store);
    const folder = temporaryFolder();
    const made = await runCommandLine(["init", "--dir", folder, "--store", proxy.url], { cwd: "/", env: {}, stdin: Buffer.of() });
    expect(made.code).toBe(0);
    const server = await serve("--data", folder, "--port", "0");
    proxy.judge = () => "swallow";
    // Ended so that it holds also where the store is a file whose disk is gone.
    expect(await server.end()).toBe(null);
    expect(server.process.signalCode).toBe("SIGKILL");
    expect(server.errors()).toContain("the store did not answer in time");
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

describe("the certificate of keystead serve", () => {
  const names = ["IP:127.0.0.1"];

  /** The common name of the certificate that new connections get. */
  const nameAt = (url: string, ca: string): Promise<unknown> =>
    new Promise((settle, reject) => {
      const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port), ca }, () => {
        settle(socket.getPeerCertificate().subject.CN);
        socket.destroy();
      }).once("error", reject);
    });

  async function serveTls(...args: readonly string[]): Promise<{
    readonly server: Serving;
    readonly name: () => Promise<unknown>;
    readonly put: (name: string) => void;
    readonly spoil: () => void;
  }> {
    const folder = temporaryFolder();
    const data = join(folder, "data");
    await (await serve("--init", "--data", data, "--port", "0")).end();
    registerMasterKeys(data);
    const authority = new TestAuthority(folder);
    const [certificate, key] = [join(data, "server.crt"), join(data, "server.key")];
    const put = (name: string): void => {
      const { files } = authority.issue({ name, names });
      copyFileSync(files.key, key);
      chmodSync(key, 0o600);
      copyFileSync(files.certificate, certificate);
    };
    put("first");
    configureServer(data, { tls: { certFile: "server.crt", keyFile: "server.key" } });
    const server = await serve("--data", data, "--port", "0", ...args);
    return {
      server,
      name: () => nameAt(server.url, authority.certificate),
      put,
      spoil: () => writeFileSync(certificate, "no certificate"),
    };
  }

  // Files are looked at every five seconds.
  const soon = { timeout: 30_000, interval: 200 };

  it("is a new one when its files change; a broken file leaves the old one in use, and the log says why", async () => {
    const { server, name, put, spoil } = await serveTls();
    expect(await name()).toBe("first");
    put("second");
    await expect.poll(name, soon).toBe("second");
    spoil();
    await expect.poll(server.errors, soon).toMatch(/"level":50.*tls\.certFile.*the old ones stay in use/);
    expect(await name()).toBe("second");
    put("third");
    await expect.poll(name, soon).toBe("third");
    expect(await server.end()).toBe(0);
  });

  it("is read at SIGHUP at once", async () => {
    const { server, name, put, spoil } = await serveTls();
    put("second");
    server.process.kill("SIGHUP");
    await expect.poll(name, { timeout: 4_000, interval: 50 }).toBe("second");
    spoil();
    server.process.kill("SIGHUP");
    await expect.poll(server.errors, { timeout: 4_000 }).toContain("the old ones stay in use");
    expect(await name()).toBe("second");
    expect(await server.end()).toBe(0);
  });

  it("is read at SIGHUP by every worker", { timeout: 60_000 }, async () => {
    const { server, spoil } = await serveTls("--workers", "2");
    const complaints = (): number[] =>
      [...server.errors().matchAll(/"pid":(\d+).*the old ones stay in use/g)].map((found) => Number(found[1])).sort();
    const workers = workersOf(server.process.pid).sort();
    expect(workers).toHaveLength(2);
    spoil();
    // Once each has seen by itself that the file changed, only the signal makes it look again.
    await expect.poll(complaints, soon).toEqual(workers);
    server.process.kill("SIGHUP");
    await expect.poll(complaints, soon).toEqual([...workers, ...workers].sort());
    expect(await server.end()).toBe(0);
  });
});

/** Process numbers of the children of a process. */
function workersOf(pid: number | undefined): number[] {
  const text = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, "utf8").trim();
  return text === "" ? [] : text.split(" ").map(Number);
}
