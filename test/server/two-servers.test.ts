import { randomUUID } from "node:crypto";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, it } from "vitest";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { registerSecret } from "../setup/canary.ts";
import { registerMasterKeys } from "../setup/master-keys.ts";
import { runWatched } from "../setup/watched-child.ts";
import { main, serve } from "../support/serve-process.ts";
import { codeOf, temporaryFolder } from "../support/test-keystead.ts";

it(
  "two servers on one PostgreSQL store, one of them of two processes, are one: keys, rights and records",
  { timeout: 120_000 },
  async () => {
    const folder = temporaryFolder();
    const [one, two] = [join(folder, "one"), join(folder, "two")];
    const store = `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`;
    const command = (...args: readonly string[]): string => {
      const { status, stdout, stderr } = runWatched(process.execPath, [main, "--dir", one, ...args]);
      expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
      return stdout;
    };
    command("init", "--store", store);
    registerMasterKeys(one);
    cpSync(one, two, { recursive: true, filter: (path) => !path.includes("audit") });
    const file = join(folder, "token");
    command("tokens", "create", "app", "--role", "key-admin", "--role", "encryptor", "--role", "decryptor", "--out", file);
    const token = readFileSync(file, "utf8").trim();
    registerSecret(token);
    const first = await serve("--data", one, "--port", "0", "--workers", "2");
    const second = await serve("--data", two, "--port", "0");
    const [a, b] = [first, second].map(({ url }) => new KeysteadClient({ url, token, retries: 0 }));
    if (a === undefined || b === undefined) throw new Error("there are two");
    try {
      await a.keys.create({ name: "k", purpose: "pii" });
      const sealed = await Promise.all(Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? a : b).encrypt("k", String(index))));
      const opened = await Promise.all(sealed.map((text, index) => (index % 2 === 0 ? b : a).decryptText(text)));
      expect(opened).toEqual(sealed.map((_, index) => String(index)));
      await b.keys.rotate("k");
      await expect.poll(async () => (await a.encrypt("k", "x")).split(":")[2]?.split("-")[0], { timeout: 20_000 }).toBe("2");
      const [id = ""] = /[a-z2-7]{16}/.exec(command("tokens", "list")) ?? [];
      command("tokens", "revoke", id);
      for (const client of [a, b]) await expect.poll(() => codeOf(client.encrypt("k", "x")), { timeout: 20_000 }).toBe("UNAUTHENTICATED");
    } finally {
      await a.close();
      await b.close();
    }
    expect([await first.end(), await second.end()]).toEqual([0, 0]);
    command("audit", "verify");
    const records = command("audit", "report", "--json", "--from", "2020-01-01", "--to", "2100-01-01");
    expect(records).toContain("data.encrypt");
  },
);
