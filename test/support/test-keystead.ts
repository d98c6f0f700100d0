import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject, onTestFinished } from "vitest";
import { type InitOptions, initKeystead, type Keystead, type KeysteadOptions, openKeystead } from "../../src/keystead.ts";
import { canaries } from "../setup/canary.ts";
import { TestClock } from "./test-clock.ts";

/** A store of a test, with the clock that moves it. */
export interface TestKeystead {
  readonly keystead: Keystead;
  readonly clock: TestClock;
}

/** The master key of test stores: a canary, so that it must not be seen anywhere. */
export const testMasterKeys = { main: { bytes: canaries.masterKey.bytes } } as const;

/** A new store in memory, closed after the test. */
export async function createTestKeystead(options: Partial<InitOptions> = {}): Promise<TestKeystead> {
  const clock = new TestClock();
  const keystead = await initKeystead({ store: testStoreUrl(), masterKeys: testMasterKeys, clock, ...options });
  onTestFinished(() => keystead.close());
  return { keystead, clock };
}

/** Where the store of a test is: in memory, or in a schema of its own of the shared PostgreSQL server. */
function testStoreUrl(): string {
  if (process.env["KEYSTEAD_TEST_STORE"] !== "postgres") return "memory:";
  return `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`;
}

/** An empty folder, removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "keystead-test-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Options of a store in a file. */
export function fileStore(folder: string): KeysteadOptions {
  return { store: `sqlite:${join(folder, "keystead.db")}`, masterKeys: testMasterKeys };
}

/** Opens a store that exists, closed after the test. */
export async function openTestKeystead(options: KeysteadOptions): Promise<Keystead> {
  const keystead = await openKeystead(options);
  onTestFinished(() => keystead.close());
  return keystead;
}

/** The code of the KeysteadError that `work` fails with. */
export async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (error) {
    if (typeof error === "object" && error !== null && "code" in error) return String(error.code);
    throw error;
  }
  return "no error";
}
