import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { type Keystead, openKeystead } from "../../src/keystead.ts";
import { registerSecret } from "../setup/canary.ts";
import { registerMasterKeys } from "../setup/master-keys.ts";
import { codeOf, temporaryFolder } from "../support/test-keystead.ts";
import { runCommandLine } from "./support/command-line.ts";
import { serveFolder } from "./support/served-folder.ts";

const cache = mkdtempSync(join(tmpdir(), "keystead-cli-cache-"));
afterAll(() => rmSync(cache, { recursive: true, force: true }));

/** A store with an engine that leases, and what commands find it by. */
interface Place {
  readonly engine: Keystead;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs a command. @returns what it wrote, stderr at the end */
async function keystead(env: Readonly<Record<string, string>>, line: string, code = 0): Promise<string> {
  const settings = { cwd: tmpdir(), env: { PATH: process.env["PATH"] ?? "", NODE_COMPILE_CACHE: cache, ...env }, stdin: Buffer.of() };
  const { stdout, stderr, code: found } = await runCommandLine(line.split(" "), settings);
  expect({ line, code: found, stderr: found === code ? "" : stderr }).toEqual({ line, code, stderr: "" });
  return `${stdout.toString()}${stderr}`;
}

async function folderPlace(): Promise<Place> {
  const dir = join(temporaryFolder(), "data");
  const env = { KEYSTEAD_DIR: dir };
  await keystead(env, "init");
  registerMasterKeys(dir);
  const engine = await openKeystead({
    store: `sqlite:${join(dir, "keystead.db")}`,
    masterKeys: { main: { file: join(dir, "master.key") } },
    auditDirectory: join(dir, "audit"),
  });
  onTestFinished(() => engine.close());
  return { engine, env };
}

describe.each([
  ["a data folder", folderPlace],
  ["a server", (): Promise<Place> => serveFolder(temporaryFolder())],
])("the leases of %s", (_, makePlace) => {
  it("are found by their key, shown and revoked", { timeout: 120_000 }, async () => {
    const { engine, env } = await makePlace();
    await engine.keys.create({ name: "pii-email", purpose: "pii" });
    await engine.keys.create({ name: "other", purpose: "pii" });
    await keystead(env, "keys alias mail pii-email");
    const stolen = await engine.leases.seal("pii-email");
    const kept = await engine.leases.seal("other");
    for (const { aesKey } of [stolen, kept]) registerSecret(aesKey);
    const listed = await keystead(env, "leases list");
    expect(listed).toMatch(new RegExp(`^${stolen.id}  pii-email +${stolen.label} .*1,048,576`, "m"));
    expect(listed).toContain(kept.id);
    for (const line of ["leases list --key pii-email", "leases list --key mail"]) {
      const found = await keystead(env, line);
      expect(found, line).toContain(stolen.id);
      expect(found, line).not.toContain(kept.id);
    }
    expect(await keystead(env, "leases list --key pii-emial", 5)).toContain("did you mean pii-email?");
    expect(await keystead(env, `leases show ${stolen.id}`)).toMatch(/^state +in force$/m);

    const revoked = await keystead(env, `leases revoke ${stolen.id} --reason theft`);
    expect(revoked).toMatch(/^state +revoked$/m);
    expect(revoked).toMatch(/`keystead keys rotate pii-email`, then `keystead datasets reencrypt`/);
    expect(await codeOf(engine.leases.open({ key: "pii-email", label: stolen.label, prefix: stolen.prefix }))).toBe("UNKNOWN_LEASE");
    expect(await keystead(env, "leases list --key pii-email")).toBe("no leases in force\n");
    expect(JSON.parse(await keystead(env, `leases show ${stolen.id} --json`))).toMatchObject({
      state: "revoked",
      prefix: stolen.prefix.toString("base64url"),
    });
    expect(await keystead(env, "audit show --action leases.revoke --json")).toContain('"reason":"theft"');
    expect(await keystead(env, "leases list")).toContain(kept.id);
  });
});
