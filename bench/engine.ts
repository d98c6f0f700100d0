import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { initKeystead, type Keystead } from "../src/index.ts";

/** Runs a benchmark in a folder of its own with a new store in it. */
export async function withKeystead<T>(
  databases: Record<string, string>,
  work: (keystead: Keystead, folder: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "keystead-bench-"));
  const urls = Object.fromEntries(Object.entries(databases).map(([name, file]) => [name, `sqlite:${join(folder, file)}`]));
  const keystead = await initKeystead({
    store: `sqlite:${join(folder, "keystead.db")}`,
    masterKeys: { main: { bytes: randomBytes(32) } },
    databases: urls,
    settings: { refreshBound: 100 },
  });
  try {
    return await work(keystead, folder);
  } finally {
    await keystead.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
