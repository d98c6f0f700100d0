import { randomBytes, randomUUID } from "node:crypto";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { expect, inject, it } from "vitest";
import type { Keystead } from "../../src/keystead.ts";
import { createTestKeystead, fileStore, openTestKeystead, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";

/** What is wrong, by check. */
async function causesOf(keystead: Keystead): Promise<Record<string, string | undefined>> {
  const checks = await keystead.doctor.readiness();
  expect(checks.map(({ check }) => check)).toEqual(["store", "KEKs", "audit", "access", "changes"]);
  for (const { ready, cause } of checks) expect(ready).toBe(cause === undefined);
  return Object.fromEntries(checks.filter(({ ready }) => !ready).map(({ check, cause }) => [check, cause]));
}

it("an engine whose store is gone is not ready, nor are rights that were not read for a minute, and is again once it is back", async () => {
  const folder = temporaryFolder();
  const { keystead, clock } = await createTestKeystead(fileStore(folder));
  expect(await causesOf(keystead)).toEqual({});
  const [file, away] = [join(folder, "keystead.db"), join(folder, "away.db")];
  renameSync(file, away);
  const causes = await causesOf(keystead);
  for (const check of ["store", "KEKs"]) expect(causes[check]).toMatch(/./);
  expect(causes["access"]).toBeUndefined();
  clock.advance(60_001);
  expect((await causesOf(keystead))["access"]).toEqual(expect.any(String));
  // Changes are followed in rounds.
  await expect.poll(async () => (await causesOf(keystead))["changes"]).toEqual(expect.any(String));
  renameSync(away, file);
  await expect.poll(() => causesOf(keystead)).toEqual({});
});

it("an engine without a KEK that wraps keys is not ready, and says which", async () => {
  const options = fileStore(temporaryFolder());
  const both = { ...testMasterKeys, other: { bytes: randomBytes(32) } };
  const { keystead } = await createTestKeystead({ ...options, masterKeys: both });
  await keystead.routes.set({ purpose: "pii" }, "local:other");
  expect(await causesOf(keystead)).toEqual({});
  await keystead.keys.create({ name: "k", purpose: "pii" });
  await keystead.close();
  const without = await openTestKeystead({ ...options, masterKeys: testMasterKeys });
  const causes = await causesOf(without);
  expect(Object.keys(causes)).toEqual(["KEKs"]);
  expect(causes["KEKs"]).toMatch(/^local:other can't be opened: /);
});

it("a store that does not answer within 2 s is not waited for", async () => {
  const schema = `test_${randomUUID().replaceAll("-", "")}`;
  const { keystead } = await createTestKeystead({
    store: `${inject("postgres")}postgres?schema=${schema}`,
    auditDirectory: temporaryFolder(),
  });
  expect(await causesOf(keystead)).toEqual({});
  const other = new Client(`${inject("postgres")}postgres`);
  await other.connect();
  try {
    await other.query("begin");
    await other.query(`lock table ${schema}.manifest in access exclusive mode`);
    expect((await causesOf(keystead))["store"]).toBe("no answer within 2 s");
    await other.query("rollback");
    await expect.poll(() => causesOf(keystead)).toEqual({});
  } finally {
    await other.end();
  }
});
