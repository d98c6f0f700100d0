import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { missingForOpenbao } from "../../test/support/openbao-program.ts";
import { OpenbaoServer } from "../../test/support/openbao-server.ts";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { BareServer } from "../served/bare-server.ts";
import { KeysteadServer } from "../served/keystead-server.ts";
import { type LoadContender, LoadComparison } from "../served/load-comparison.ts";
import { type LoadRequest, requireWrk } from "../served/wrk.ts";

const seconds = Number(process.env["KEYSTEAD_BENCH_SECONDS"] ?? "4");
const rounds = Number(process.env["KEYSTEAD_BENCH_ROUNDS"] ?? "5");
const connections = 32;
const batchItems = 100;
const plaintextBytes = 128;
const context = { table: "person", column: "email" };

/** What all that were started do to end. */
type Stop = () => Promise<void>;

/** Served calls under load: against a bare route, batches against single calls, and against a real OpenBao. */
export async function server(): Promise<void> {
  requireWrk();
  const folder = mkdtempSync(join(tmpdir(), "keystead-bench-"));
  const stops: Stop[] = [];
  try {
    const contenders = [...(await oneWorker(folder, stops)), ...(await againstOpenbao(folder, stops))];
    process.stdout.write(
      `\nthe load of this machine before: ${loadavg()[0]?.toFixed(1) ?? "?"}; what else runs takes from every contender\n`,
    );
    const comparison = new LoadComparison(folder, contenders, seconds);
    await comparison.run(rounds);
    comparison.print(
      `server: ${rounds} rounds of ${seconds} s each, wrk with one thread; server and load share ${availableParallelism()} cores`,
    );
    comparison.goal("keystead, encrypt, 32", "calls", "bare route, 32", 0.6);
    comparison.goal("keystead, batch of 100, 32", "items", "keystead, encrypt, 32", 4);
    comparison.goal("keystead in local mode, encrypt, 1", "calls", "keystead, encrypt, 1", 10);
    if (!contenders.some(({ name }) => name.startsWith("OpenBao"))) return;
    comparison.goal("keystead with a worker per core, encrypt, 32", "calls", "OpenBao, encrypt, 32", 2);
    comparison.goal("keystead with a worker per core, batch of 100, 32", "items", "OpenBao, batch of 100, 32", 2.5);
    comparison.goal("keystead with a worker per core, encrypt, 32", "p99", "OpenBao, encrypt, 32", 0.5);
  } finally {
    for (const stop of stops.toReversed()) await stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function oneWorker(folder: string, stops: Stop[]): Promise<LoadContender[]> {
  const bare = await BareServer.start();
  stops.push(() => bare.stop());
  const keystead = await startKeystead(folder, 1, stops);
  const request = (path: string, body: unknown): LoadRequest => ({
    url: `${keystead.url}${path}`,
    headers: keystead.headers,
    body: JSON.stringify(body),
  });
  const item = newItem();
  const { ciphertext } = z.object({ ciphertext: z.string() }).parse(await keystead.call("POST", "/v1/encrypt", item));
  const encrypt = request("/v1/encrypt", item);
  const bareRequest = { url: `${bare.url}/v1/encrypt`, headers: {}, body: JSON.stringify(item) };
  const batch = request("/v1/encrypt", { items: Array.from({ length: batchItems }, newItem) });
  const { pid } = keystead;
  return [
    { name: "bare route, 32", request: bareRequest, connections, items: 1, pid: bare.pid },
    { name: "keystead, encrypt, 32", request: encrypt, connections, items: 1, pid },
    { name: "keystead, decrypt, 32", request: request("/v1/decrypt", { ciphertext, context }), connections, items: 1, pid },
    { name: "keystead, batch of 100, 32", request: batch, connections, items: batchItems, pid },
    { name: "bare route, 1", request: bareRequest, connections: 1, items: 1, pid: bare.pid },
    { name: "keystead, encrypt, 1", request: encrypt, connections: 1, items: 1, pid },
    { name: "keystead in local mode, encrypt, 1", act: await localEncrypt(keystead, stops), items: 1 },
  ];
}

/** Seals by a leased key in this process. */
async function localEncrypt(keystead: KeysteadServer, stops: Stop[]): Promise<() => Promise<unknown>> {
  await keystead.command("policy", "add", "allow", "role:encryptor", "leases.create", "--json");
  const client = new KeysteadClient({ url: keystead.url, token: keystead.token });
  stops.push(() => client.close());
  const local = client.local("bench");
  const plaintext = randomBytes(plaintextBytes);
  return () => local.encrypt(plaintext, { context });
}

async function againstOpenbao(folder: string, stops: Stop[]): Promise<LoadContender[]> {
  const missing = missingForOpenbao();
  if (missing !== undefined) {
    process.stdout.write(`  without OpenBao: ${missing}\n`);
    return [];
  }
  const bao = await OpenbaoServer.start();
  stops.push(() => bao.stop());
  await bao.call("POST", "/v1/transit/keys/bench", { type: "aes256-gcm96" });
  const baoRequest = (body: unknown): LoadRequest => ({
    url: `${bao.url}/v1/transit/encrypt/bench`,
    headers: { "x-vault-token": bao.token },
    body: JSON.stringify(body),
  });
  const keystead = await startKeystead(folder, availableParallelism(), stops);
  const request = (body: unknown): LoadRequest => ({
    url: `${keystead.url}/v1/encrypt`,
    headers: keystead.headers,
    body: JSON.stringify(body),
  });
  const name = "keystead with a worker per core";
  const single = baoRequest(newPlaintext());
  const encrypt = request(newItem());
  const baoBatch = baoRequest({ batch_input: Array.from({ length: batchItems }, newPlaintext) });
  const batch = request({ items: Array.from({ length: batchItems }, newItem) });
  return [
    { name: "OpenBao, encrypt, 32", request: single, connections, items: 1, pid: bao.pid },
    { name: `${name}, encrypt, 32`, request: encrypt, connections, items: 1, pid: keystead.pid },
    { name: "OpenBao, batch of 100, 32", request: baoBatch, connections, items: batchItems, pid: bao.pid },
    { name: `${name}, batch of 100, 32`, request: batch, connections, items: batchItems, pid: keystead.pid },
    { name: "OpenBao, encrypt, 1", request: single, connections: 1, items: 1, pid: bao.pid },
    { name: `${name}, encrypt, 1`, request: encrypt, connections: 1, items: 1, pid: keystead.pid },
  ];
}

async function startKeystead(folder: string, workers: number, stops: Stop[]): Promise<KeysteadServer> {
  const keystead = await KeysteadServer.start(folder, { workers });
  stops.push(() => keystead.stop());
  await keystead.call("POST", "/v1/keys", { name: "bench", purpose: "pii" });
  return keystead;
}

function newPlaintext(): { readonly plaintext: string } {
  return { plaintext: randomBytes(plaintextBytes).toString("base64") };
}

function newItem(): object {
  return { key: "bench", ...newPlaintext(), context };
}
