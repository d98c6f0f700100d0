import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import { startProxy } from "../support/postgres-proxy.ts";
import { codeOf, openTestKeystead, testMasterKeys } from "../support/test-keystead.ts";

/** A store in PostgreSQL, opened twice as two processes would. */
async function openTwice(): Promise<{ readonly one: Keystead; readonly other: Keystead; readonly run: (sql: string) => Promise<unknown> }> {
  const database = `${inject("postgres")}postgres`;
  const options = { store: `${database}?schema=test_${randomUUID().replaceAll("-", "")}`, masterKeys: testMasterKeys };
  const one = await initKeystead(options);
  onTestFinished(() => one.close());
  const other = await openTestKeystead(options);
  const pool = new pg.Pool({ connectionString: database, max: 1 });
  onTestFinished(() => pool.end());
  return { one, other, run: (sql) => pool.query(sql) };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(5);
}

const storeFindings = async (keystead: Keystead): Promise<string> =>
  (await keystead.doctor.examine())
    .filter(({ check }) => check === "store")
    .map(({ message }) => message)
    .join("\n");

describe("a store in PostgreSQL", () => {
  it("tells other processes at once that a key was suspended", async () => {
    const { one, other } = await openTwice();
    await one.keys.create({ name: "k", purpose: "pii" });
    const handle = await other.open("k");
    await until(async () => (await storeFindings(other)) === "nothing to report");
    for (const act of ["suspend", "resume", "suspend"] as const) {
      const began = systemClock.monotonic();
      if (act === "suspend") await one.keys.suspend("k", 1);
      else await one.keys.resume("k", 1);
      await until(async () => (await codeOf(() => handle.encrypt("x"))) === (act === "suspend" ? "KEY_STATE" : "no error"));
      expect(systemClock.monotonic() - began).toBeLessThan(1_000);
    }
  });

  it("says in doctor that it can't tell them, and does so again once it can", async () => {
    const { other, run } = await openTwice();
    await until(async () => (await storeFindings(other)) === "nothing to report");
    const listening = "application_name = 'keystead listener'";
    // Again and again, because it connects again in a moment, and looking takes one, too.
    await until(async () => {
      await run(`select pg_terminate_backend(pid) from pg_stat_activity where ${listening}`);
      return (await storeFindings(other)).includes("looks for them itself");
    });
    await until(async () => (await storeFindings(other)) === "nothing to report");
  });

  it("is looked at again and again by a process that can never be told of changes", async () => {
    const store = `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`;
    const one = await initKeystead({ store, masterKeys: testMasterKeys, settings: { refreshBound: 20 } });
    onTestFinished(() => one.close());
    await one.keys.create({ name: "k", purpose: "pii" });
    const proxy = await startProxy(store);
    proxy.judge = (sent) => (sent.includes("keystead listener") ? "cut before" : "pass");
    const deaf = await openTestKeystead({ store: proxy.url, masterKeys: testMasterKeys });
    const handle = await deaf.open("k");
    expect(handle.encrypt("x")).toMatch(/^ks1:k:1-/);
    for (const version of [2, 3]) {
      expect(await storeFindings(deaf)).toContain("looks for them itself");
      await one.keys.rotate("k");
      await until(() => handle.encrypt("x").startsWith(`ks1:k:${String(version)}-`));
    }
    expect(await storeFindings(deaf)).toContain("looks for them itself");
  });
});
