import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { actionNames } from "../../src/access/actions.ts";
import type { Caller } from "../../src/access/caller.ts";
import { routes } from "../../src/api/routes.ts";
import { KeysteadError } from "../../src/errors.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import { canaries } from "../setup/canary.ts";
import { startChild } from "../support/child.ts";
import { day } from "../support/test-clock.ts";
import { codeOf, createTestKeystead, fileStore, temporaryFolder } from "../support/test-keystead.ts";
import { samplesOf, valueOf } from "./support/samples.ts";
import { StillClock } from "./support/still-clock.ts";

const anna: Caller = { principal: { source: "token", id: "t1", name: "anna" }, request: { id: "r1", address: "127.0.0.1" } };
const access = {
  authorize: (_: Caller, action: string): void => {
    if (action === "data.decrypt") throw new KeysteadError("ACCESS_DENIED", "no");
  },
};

async function watched(names = false) {
  const still = new StillClock();
  const metrics = new Metrics({ version: "1.2.3", clock: still, names });
  const { keystead, clock } = await createTestKeystead({ metrics, access });
  const advance = (milliseconds: number): void => {
    clock.advance(milliseconds);
    still.advance(milliseconds);
  };
  return { keystead, metrics, advance };
}

describe("metrics of acts", () => {
  it("count by action and outcome what the audit has records of", async () => {
    const { keystead, metrics } = await watched();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const sealed = await keystead.as(anna).encrypt("k", "x");
    expect(await codeOf(keystead.as(anna).decrypt(sealed))).toBe("ACCESS_DENIED");
    expect(await codeOf(keystead.as(anna).encrypt("none", "x"))).toBe("UNKNOWN_KEY");
    await keystead.as(anna).keys.list();
    const text = await metrics.read();
    const count = (action: string, outcome: string) => valueOf(text, "keystead_operations_total", { action, outcome });
    expect(count("keys.create", "allowed")).toBe(1);
    expect(count("data.encrypt", "allowed")).toBe(1);
    expect(count("data.encrypt", "failed")).toBe(1);
    expect(count("data.decrypt", "denied")).toBe(1);
    expect(count("data.decrypt", "allowed")).toBeUndefined();
    expect(count("keys.list", "allowed")).toBe(1);
    expect(valueOf(text, "keystead_operation_duration_seconds_count", { action: "data.encrypt" })).toBe(2);
  });

  it("count a batch as one act and its items apart", async () => {
    const { keystead, metrics } = await watched();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const [sealed] = await keystead.as(anna).encryptMany([
      { target: "k", plaintext: "a" },
      { target: "k", plaintext: "b" },
      { target: "none", plaintext: "c" },
    ]);
    if (typeof sealed !== "string") throw new Error("not sealed");
    await keystead.as(anna).decryptMany([{ ciphertext: sealed }]);
    const text = await metrics.read();
    expect(valueOf(text, "keystead_operations_total", { action: "data.encrypt", outcome: "allowed" })).toBe(1);
    expect(valueOf(text, "keystead_batch_items_total", { action: "data.encrypt", outcome: "allowed" })).toBe(2);
    expect(valueOf(text, "keystead_batch_items_total", { action: "data.encrypt", outcome: "failed" })).toBe(1);
    expect(valueOf(text, "keystead_operations_total", { action: "data.decrypt", outcome: "denied" })).toBe(1);
    expect(valueOf(text, "keystead_batch_items_total", { action: "data.decrypt", outcome: "denied" })).toBe(1);
  });

  it("count calls to KEKs, and lookups of open keys", async () => {
    const { keystead, metrics } = await watched();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    for (let round = 0; round < 3; round += 1) await keystead.encrypt("k", "x");
    const text = await metrics.read();
    expect(valueOf(text, "keystead_kek_calls_total", { operation: "wrap", result: "done" })).toBeGreaterThan(0);
    expect(valueOf(text, "keystead_kek_calls_total", { operation: "wrap", result: "failed" })).toBeUndefined();
    expect(valueOf(text, "keystead_cache_lookups_total", { cache: "handles", lookup: "miss" })).toBe(1);
    expect(valueOf(text, "keystead_cache_lookups_total", { cache: "handles", lookup: "hit" })).toBeGreaterThanOrEqual(2);
    const again = await metrics.read();
    expect(valueOf(again, "keystead_cache_lookups_total", { cache: "handles", lookup: "miss" })).toBe(1);
  });
});

describe("metrics of keys", () => {
  it("tell the oldest, the soonest and the least, without names", async () => {
    const { keystead, metrics, advance } = await watched();
    await keystead.keys.create({ name: "acme/first", purpose: "pii", rotationDays: 30 });
    advance(10 * day);
    await keystead.refresh();
    await keystead.keys.create({ name: "acme/second", purpose: "pii", algorithm: "AES-256-GCM", rotationDays: 90 });
    await keystead.encrypt("acme/second", "x");
    const text = await metrics.read();
    // The audit has a key of its own.
    expect(valueOf(text, "keystead_keys")).toBe(3);
    expect(valueOf(text, "keystead_key_age_days")).toBeCloseTo(10);
    expect(valueOf(text, "keystead_key_rotation_days")).toBeCloseTo(20);
    expect(valueOf(text, "keystead_keys_rotation_due")).toBe(0);
    expect(valueOf(text, "keystead_key_messages_left")).toBe(2 ** 32 - 2 ** 16);
    expect(valueOf(text, "keystead_key_budget_left_ratio")).toBeCloseTo(1, 3);
    expect(text).not.toMatch(/acme/);
    advance(25 * day);
    expect(valueOf(await metrics.read(), "keystead_keys_rotation_due")).toBe(1);
  });

  it("name them when that is wanted", async () => {
    const { keystead, metrics } = await watched(true);
    await keystead.keys.create({ name: "acme/k", purpose: "pii" });
    expect(valueOf(await metrics.read(), "keystead_key_age_days", { key: "acme/k" })).toBe(0);
  });

  it("tell of attempts on versions that wait for destruction", async () => {
    const { keystead, metrics, advance } = await watched();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead.keys.rotate("k");
    const { label = "" } = (await keystead.keys.show("k")).versions[0] ?? {};
    const key = await keystead.open("k");
    const forged = key.encrypt("x").replace(/:2-[a-z2-7]{6}:/, `:${label}:`);
    await keystead.keys.destroy("k", 1);
    expect(valueOf(await metrics.read(), "keystead_versions_pending_destruction")).toBe(1);
    expect(valueOf(await metrics.read(), "keystead_destruction_pending_refusals")).toBe(0);
    advance(20_000);
    await keystead.refresh();
    expect(await codeOf(() => key.decrypt(forged))).toBe("KEY_STATE");
    await keystead.keys.usage("k", 1);
    expect(valueOf(await metrics.read(), "keystead_destruction_pending_refusals")).toBe(1);
  });
});

describe("metrics", () => {
  it("have labels of fixed sets, whatever is asked for", async () => {
    const { keystead, metrics } = await watched();
    await keystead.keys.create({ name: "k", purpose: "pii", tags: { note: canaries.email.text } });
    const call = keystead.as({
      principal: { source: "oidc", id: `main:${canaries.email.text}` },
      request: { id: "r", address: "10.1.2.3" },
    });
    await call.encrypt("k", canaries.email.text, { context: { person: canaries.diagnosis.text } });
    await codeOf(call.encrypt(canaries.email.text, "x"));
    metrics.actEnded("payroll.run", "allowed", 1);
    metrics.requestEnded({ method: "PROPFIND", route: "none", status: 404 }, 1);
    metrics.jobRows({ kind: "strange", source: "mysql", read: 1, replaced: 1, changed: 1, problems: 1 });
    metrics.attach({ health: async () => [{ check: canaries.email.text, ready: true }] });
    const allowed: Readonly<Record<string, ReadonlySet<string>>> = {
      action: new Set([...actionNames, "other"]),
      outcome: new Set(["allowed", "denied", "failed"]),
      operation: new Set(["open", "wrap", "unwrap", "close"]),
      result: new Set(["done", "failed"]),
      method: new Set(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "other"]),
      route: new Set(["none", ...routes.map(({ path }) => path)]),
      status: new Set(["1xx", "2xx", "3xx", "4xx", "5xx"]),
      cache: new Set(["handles", "decisions", "oidc-tokens"]),
      lookup: new Set(["hit", "miss"]),
      kind: new Set(["reencrypt", "other"]),
      source: new Set(["sqlite", "postgres", "other"]),
      rows: new Set(["read", "replaced", "changed", "problem"]),
      check: new Set(["other"]),
      version: new Set(["1.2.3"]),
    };
    const samples = samplesOf(await metrics.read()).filter(({ name }) => name.startsWith("keystead_"));
    expect(samples.length).toBeGreaterThan(50);
    for (const { name, labels } of samples)
      for (const [label, value] of Object.entries(labels))
        if (label !== "le") expect(allowed[label]?.has(value), `${name} ${label}=${value}`).toBe(true);
  });

  it("hold nobody up while the store does not answer, and tell how old they are", async () => {
    const clock = new StillClock();
    const metrics = new Metrics({ version: "1", clock });
    let answer: () => Promise<{ keys: []; total: number }> = async () => ({ keys: [], total: 7 });
    let reads = 0;
    metrics.attach({
      keys: () => {
        reads += 1;
        return answer();
      },
    });
    expect(valueOf(await metrics.read(), "keystead_keys")).toBe(7);
    clock.advance(9_999);
    await metrics.read();
    expect(reads).toBe(1);
    answer = () => new Promise(() => undefined);
    clock.advance(1);
    clock.isLate = true;
    const text = await metrics.read();
    expect(reads).toBe(2);
    expect(valueOf(text, "keystead_keys")).toBe(7);
    // The clock of the test moves by what is waited: a second, and no more.
    expect(valueOf(text, "keystead_key_facts_age_seconds")).toBe(11);
    expect(valueOf(await metrics.read(), "keystead_key_facts_age_seconds")).toBe(12);
    expect(reads).toBe(2);
  });

  it("go on when the store fails", async () => {
    const metrics = new Metrics({ version: "1", clock: new StillClock() });
    metrics.attach({ keys: () => Promise.reject(new Error(canaries.email.text)), health: () => Promise.reject(new Error("no")) });
    expect(valueOf(await metrics.read(), "keystead_workers")).toBe(1);
  });

  it("tell of readiness, audit lag and the process", async () => {
    const metrics = new Metrics({ version: "1", clock: new StillClock() });
    metrics.attach({
      auditLag: () => 17,
      health: async () => [
        { check: "store", ready: true },
        { check: "audit", ready: false },
      ],
    });
    const text = await metrics.read();
    expect(valueOf(text, "keystead_audit_lag_records")).toBe(17);
    expect(valueOf(text, "keystead_ready", { check: "store" })).toBe(1);
    expect(valueOf(text, "keystead_ready", { check: "audit" })).toBe(0);
    expect(valueOf(text, "process_resident_memory_bytes")).toBeGreaterThan(0);
    expect(valueOf(text, "nodejs_eventloop_lag_p99_seconds")).toBeDefined();
  });

  it("are those of all workers that answer", async () => {
    const child = startChild(new URL("fixtures/cluster.ts", import.meta.url), []);
    const [line = ""] = await child.finish();
    const { by, text } = JSON.parse(line) as { by: number; text: string };
    expect(by).toBe(1);
    expect(valueOf(text, "keystead_workers")).toBe(2);
    expect(valueOf(text, "keystead_operations_total", { action: "data.encrypt", outcome: "allowed" })).toBe(6);
    expect(valueOf(text, "keystead_operation_duration_seconds_count", { action: "data.encrypt" })).toBe(6);
    expect(valueOf(text, "keystead_info", { version: "1.0.0" })).toBe(1);
  });
});

describe("the numbers of workers", () => {
  it("are those of the others when one is gone that nobody has missed yet", async (context) => {
    if (!existsSync("/proc/self/statm")) context.skip("there is no /proc here");
    const child = startChild(new URL("fixtures/lost-worker.ts", import.meta.url), []);
    const [connected, answer = ""] = await child.finish();
    expect(connected).toBe("connected true");
    expect(JSON.parse(answer)).toMatchObject({ kind: "gathered", others: [] });
  });
});

describe("metrics.read()", () => {
  it("asks access control, leaves one record, and says where nothing is counted", async () => {
    const { keystead } = await watched();
    const call = keystead.as(anna);
    expect(valueOf(await call.metrics.read(), "keystead_workers")).toBe(1);
    expect(call.records).toBe(1);
    expect(await keystead.audit.show({ action: "metrics" })).toMatchObject([{ action: "metrics.read", outcome: "allowed" }]);
    const { keystead: bare } = await createTestKeystead();
    expect(await codeOf(bare.metrics.read())).toBe("NOT_FOUND");
  });

  it("counts the rows of jobs by their kind and that of the database", async () => {
    const { keystead, metrics } = await protectedTable();
    await keystead.datasets.reencrypt("people");
    const text = await metrics.read();
    expect(valueOf(text, "keystead_job_rows_total", { kind: "protect", source: "sqlite", rows: "replaced" })).toBe(3);
    expect(valueOf(text, "keystead_job_rows_total", { kind: "reencrypt", source: "sqlite", rows: "read" })).toBeGreaterThanOrEqual(3);
  });
});

async function protectedTable() {
  const { DatabaseSync } = await import("node:sqlite");
  const folder = temporaryFolder();
  const database = new DatabaseSync(`${folder}/crm.db`);
  database.exec("CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT); INSERT INTO person (email) VALUES ('a'), ('b'), ('c')");
  database.close();
  const metrics = new Metrics({ version: "1", clock: new StillClock() });
  const { keystead } = await createTestKeystead({ ...fileStore(folder), databases: { crm: `sqlite:${folder}/crm.db` }, metrics });
  await keystead.keys.create({ name: "k", purpose: "pii" });
  const columns = { email: { key: "k" } };
  await keystead.datasets.add("people", { database: "crm", table: "person", keyColumns: ["id"], columns, indexes: {} });
  await keystead.datasets.protect("people");
  await keystead.keys.rotate("k");
  return { keystead, metrics };
}
