import { existsSync, mkdtempSync, openSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registerMasterKeys } from "../setup/master-keys.ts";
import { runWatched, watchedEnvironment } from "../setup/watched-child.ts";
import { mountSmallDisk, needsMount } from "../support/small-disk.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "keystead-streams-"));
const dir = join(folder, "data");

function keystead(args: readonly string[], stdio: { readonly stdin?: number | "pipe"; readonly stdout?: number | "pipe" } = {}) {
  const { stdin = "pipe", stdout = "pipe" } = stdio;
  return runWatched(process.execPath, [main, ...args], {
    env: watchedEnvironment({ PATH: process.env["PATH"], KEYSTEAD_DIR: dir }),
    input: "",
    stdio: [stdin, stdout, "pipe"],
  });
}

beforeAll(() => {
  expect(keystead(["init"]).status).toBe(0);
  registerMasterKeys(folder);
  expect(keystead(["keys", "create", "backup", "--purpose", "backup"]).status).toBe(0);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("data of the command line", () => {
  it("is not a folder, which would be read as if nothing were in it", () => {
    const { status, stdout, stderr } = keystead(["encrypt", "--key", "backup"], { stdin: openSync(dir, "r") });
    expect({ status, stdout, stderr }).toEqual({ status: 2, stdout: "", stderr: "keystead: stdin is a folder; name a file\n" });
  });

  it("that is too much to hold at once goes as a stream, or in pieces", () => {
    const large = join(temporaryFolder(), "large");
    writeFileSync(large, "");
    truncateSync(large, 64 * 1024 * 1024 + 1);
    const sealed = keystead(["encrypt", "--key", "backup"], { stdin: openSync(large, "r") });
    expect([sealed.status, sealed.stderr]).toEqual([2, "keystead: stdin has more than 64 MiB; give --file to work on it as a stream\n"]);
    const hashed = keystead(["hash", "--file", large]);
    expect([hashed.status, hashed.stderr]).toEqual([2, `keystead: ${large} has more than 64 MiB; split it\n`]);
  });

  it("that finds no room on stdout is no fault of Keystead", (context) => {
    if (!existsSync("/dev/full")) return context.skip("there is no /dev/full here");
    const { status, stderr } = keystead(["keys", "list"], { stdout: openSync("/dev/full", "w") });
    expect(status).toBe(8);
    expect(stderr).toMatch(/^keystead: stdout can't be written whole: the disk is full; free space and run it again \(ENOSPC/);
  });

  it("that finds no room in its file says so and leaves nothing there", (context) => {
    const disk = mountSmallDisk("64k");
    if (disk === undefined) return context.skip(needsMount);
    const input = join(temporaryFolder(), "dump");
    writeFileSync(input, Buffer.alloc(1_000_000));
    const { status, stderr } = keystead(["encrypt", "--key", "backup", "--file", input, "--out", join(disk.path, "dump.ks")]);
    expect(status).toBe(8);
    expect(stderr).toMatch(/dump\.ks can't be written whole: the disk is full; free space and run it again \(ENOSPC/);
    expect(readdirSync(disk.path)).toEqual([]);
  });
});
