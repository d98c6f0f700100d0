import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { afterAll, describe, inject, it } from "vitest";
import { runScript } from "./support/run-script.ts";

const scripts = new URL("scripts/", import.meta.url);
// Every command is a process of its own; the compiled modules are kept for the next one.
const cache = mkdtempSync(join(tmpdir(), "keystead-cli-cache-"));

/** URL of a store that no other script uses. */
function newSchemaUrl(): string {
  return `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`;
}

describe.concurrent("the command line", () => {
  afterAll(() => rmSync(cache, { recursive: true, force: true }));

  for (const name of readdirSync(scripts).filter((file) => file.endsWith(".txt"))) {
    it(
      name,
      async () => {
        const folder = mkdtempSync(join(tmpdir(), "keystead-cli-"));
        try {
          await runScript(name, readFileSync(new URL(name, scripts), "utf8"), folder, {
            NODE_COMPILE_CACHE: cache,
            POSTGRES: newSchemaUrl(),
          });
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      },
      300_000,
    );
  }
});
