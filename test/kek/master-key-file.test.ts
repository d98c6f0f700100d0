import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemRandom } from "../../src/crypto/random.ts";
import { createMasterKeyFile, readMasterKeyFile } from "../../src/kek/local/master-key-file.ts";
import { canaries } from "../setup/canary.ts";

const line = `keystead-master-v1:main:${canaries.masterKey.base64url}`;
let directory = "";
let path = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "keystead-master-"));
  path = join(directory, "main.key");
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe("createMasterKeyFile", () => {
  it("writes one line, for the owner only, in a directory for the owner only", async () => {
    const nested = join(directory, "a", "b", "main.key");
    await createMasterKeyFile(nested, "main", systemRandom);
    expect(await readFile(nested, "utf8")).toMatch(/^keystead-master-v1:main:[A-Za-z0-9_-]{43}\n$/);
    expect((await stat(nested)).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, "a", "b"))).mode & 0o777).toBe(0o700);
    expect(await readMasterKeyFile(nested, "main")).toHaveLength(32);
  });

  it("never overwrites, not even through a link that points nowhere", async () => {
    await createMasterKeyFile(path, "main", systemRandom);
    const before = await readFile(path);
    await expect(createMasterKeyFile(path, "main", systemRandom)).rejects.toMatchObject({ code: "CONFLICT" });
    expect(await readFile(path)).toEqual(before);
    const link = join(directory, "link.key");
    await symlink(join(directory, "nowhere"), link);
    await expect(createMasterKeyFile(link, "main", systemRandom)).rejects.toMatchObject({ code: "CONFLICT" });
  });

  it("leaves nothing behind when it is stopped before the key is written, and succeeds then", async () => {
    const broken = {
      bytes: (): never => {
        throw new Error("no randomness");
      },
    };
    await expect(createMasterKeyFile(path, "main", broken)).rejects.toThrow("no randomness");
    expect(await readdir(directory)).toEqual([]);
    await writeFile(`${path}.new`, "keystead-master-v1:ma");
    await createMasterKeyFile(path, "main", systemRandom);
    expect(await readMasterKeyFile(path, "main")).toHaveLength(32);
    expect((await readdir(directory)).sort()).toEqual(["main.key", "main.key.new"]);
  });

  it("refuses a bad name, and leaves nothing behind where it can't write", async () => {
    await expect(createMasterKeyFile(path, "a:b", systemRandom)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await writeFile(join(directory, "file"), "");
    await expect(createMasterKeyFile(join(directory, "file", "main.key"), "main", systemRandom)).rejects.toMatchObject({
      code: "KEK_FAILED",
    });
    expect(await readdir(directory)).toEqual(["file"]);
  });
});

describe("readMasterKeyFile", () => {
  it("reads the key, with or without the newline", async () => {
    for (const text of [line, `${line}\n`]) {
      await writeFile(path, text, { mode: 0o600 });
      expect(await readMasterKeyFile(path, "main")).toEqual(canaries.masterKey.bytes);
    }
  });

  it.each([0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666])("refuses mode %o and names the remedy", async (mode) => {
    await writeFile(path, line);
    await chmod(path, mode);
    const refusal = readMasterKeyFile(path, "main");
    await expect(refusal).rejects.toMatchObject({ code: "INSECURE_FILE" });
    await expect(refusal).rejects.toThrow(`chmod 600 ${path}`);
  });

  it("takes stricter modes", async () => {
    await writeFile(path, line);
    await chmod(path, 0o400);
    expect(await readMasterKeyFile(path, "main")).toEqual(canaries.masterKey.bytes);
  });

  it("judges the file behind a link, not the link", async () => {
    const link = join(directory, "link.key");
    await symlink(path, link);
    await writeFile(path, line, { mode: 0o600 });
    expect(await readMasterKeyFile(link, "main")).toEqual(canaries.masterKey.bytes);
    await chmod(path, 0o644);
    await expect(readMasterKeyFile(link, "main")).rejects.toMatchObject({ code: "INSECURE_FILE" });
  });

  it("refuses what is no regular file, without waiting for it", async () => {
    await expect(readMasterKeyFile(directory, "main")).rejects.toMatchObject({ code: "INSECURE_FILE" });
    execFileSync("mkfifo", ["-m", "600", path]);
    await expect(readMasterKeyFile(path, "main")).rejects.toMatchObject({ code: "INSECURE_FILE" });
  });

  it("says so when there is no file", async () => {
    const refusal = readMasterKeyFile(path, "main");
    await expect(refusal).rejects.toMatchObject({ code: "KEK_FAILED" });
    await expect(refusal).rejects.toThrow("keystead init");
  });

  it("names both when it holds another name's key", async () => {
    await writeFile(path, line, { mode: 0o600 });
    const refusal = readMasterKeyFile(path, "backup");
    await expect(refusal).rejects.toMatchObject({ code: "WRONG_MASTER_KEY" });
    await expect(refusal).rejects.toThrow(/main, not backup/);
  });

  it.each([
    ["an empty file", ""],
    ["another version", line.replace("v1", "v2")],
    ["a short key", line.slice(0, -1)],
    ["a long key", `${line}A`],
    ["spare bits set", `${line.slice(0, -1)}Z`],
    ["padding", `${line}=`],
    ["a space behind", `${line} `],
    ["a space before", ` ${line}`],
    ["two newlines", `${line}\n\n`],
    ["two lines", `${line}\n${line}\n`],
    ["a carriage return", `${line}\r\n`],
    ["no name", line.replace("main", "")],
    ["a byte order mark", `\ufeff${line}`],
    ["far too much", line.repeat(1000)],
  ])("refuses %s without showing it", async (_, text) => {
    await writeFile(path, text, { mode: 0o600 });
    const error: unknown = await readMasterKeyFile(path, "main").catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "KEK_FAILED" });
    expect(String(error)).not.toContain(canaries.masterKey.base64url.slice(0, 12));
  });

  it("never takes anything that differs from the line", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(line.length - 1), fc.integer({ min: 1, max: 255 }), async (index, difference) => {
        const bytes = Buffer.from(line);
        bytes.writeUInt8(bytes.readUInt8(index) ^ difference, index);
        await writeFile(path, bytes, { mode: 0o600 });
        const key = await readMasterKeyFile(path, "main").catch(() => undefined);
        // Another character of the key is another key, and the kek id tells it from this one.
        if (key !== undefined) expect(key.equals(canaries.masterKey.bytes)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });
});
