import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { registerMasterKeys } from "../../setup/master-keys.ts";

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tour-test-"));
  onTestFinished(() => {
    registerMasterKeys(folder);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A CSV file that is gone after the test. */
export function csvFile(content: string | Uint8Array): string {
  const path = join(temporaryFolder(), "people.csv");
  writeFileSync(path, content);
  return path;
}
