import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { canaries, recordOutput, recordReport, registerSecret, testRunFiles, testRunVariable } from "../setup/canary.ts";
import { findLeaks, searchTestRun } from "../setup/leaks.ts";
import { registerMasterKeys } from "../setup/master-keys.ts";
import { runWatched, watchChild, watchedEnvironment } from "../setup/watched-child.ts";
import { temporaryTree } from "./temporary-tree.ts";

// Neither a canary nor a registered secret: what this file prints when it fails must not count as a leak.
const key = Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 37 + 11) % 256));
const text = 'not-a-canary-but-ähnlich\t"quoted"';

function isFound(secret: Buffer, output: string): boolean {
  return findLeaks({ output }, [{ name: "secret", bytes: secret }]).length > 0;
}

describe("the search for secrets", () => {
  it.each([
    ["hex", key.toString("hex")],
    ["upper-case hex", key.toString("hex").toUpperCase()],
    ["base64", `"${key.toString("base64")}"`],
    ["base64url", `ks:${key.toString("base64url")}`],
    ["base64 of more", Buffer.concat([Buffer.from("ab"), key, Buffer.from("cd")]).toString("base64")],
    ["an inspected Buffer", inspect({ nested: { key } }, { depth: 9 })],
    ["an inspected Uint8Array", inspect(new Uint8Array(key), { colors: true })],
    ["a Buffer as JSON", JSON.stringify({ key }, undefined, 2)],
    ["lines broken anywhere", key.toString("base64").replace(/(.{20})/g, "$1\n    ")],
  ])("finds a key as %s", (_, output) => {
    expect(isFound(key, `before ${output} after`)).toBe(true);
  });

  it.each([
    ["itself", text],
    ["JSON", JSON.stringify({ text })],
    ["inspected", inspect([text])],
    ["percent-encoded", `https://host.example/?q=${encodeURIComponent(text)}`],
    ["hex", Buffer.from(text).toString("hex")],
    ["bytes", inspect(Buffer.from(text))],
  ])("finds a text as %s", (_, output) => {
    expect(isFound(Buffer.from(text), output)).toBe(true);
  });

  it("finds base64 at every alignment and never in other bytes", () => {
    const bytes = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(bytes, bytes, fc.constantFrom("base64" as const, "base64url" as const), (before, after, encoding) => {
        expect(isFound(key, Buffer.concat([before, key, after]).toString(encoding))).toBe(true);
        expect(isFound(key, Buffer.concat([before, after]).toString(encoding))).toBe(false);
      }),
    );
  });

  it("says where, without the secret", () => {
    const leaks = findLeaks({ "the log": `error: bad key ${key.toString("hex")}`, "the report": "fine" }, [
      { name: "master key", bytes: key },
    ]);
    expect(leaks).toEqual([{ secret: "master key", source: "the log", before: "error:badkey" }]);
  });

  it("does not take one canary for another", () => {
    const secrets = Object.entries(canaries).map(([name, { bytes }]) => ({ name, bytes }));
    for (const [name, { base64 }] of Object.entries(canaries)) {
      expect(findLeaks({ output: base64 }, secrets).map(({ secret }) => secret)).toEqual([name]);
    }
  });
});

describe("the search of a test run", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  /** A run of its own, so that the secrets of this test are not searched for in the real one. */
  function testRun(log: string): { readonly folder: string; readonly search: () => string[] } {
    const folder = temporaryTree({ "output.log": log });
    vi.stubEnv(testRunVariable, folder);
    return { folder, search: () => searchTestRun(folder, join(folder, "output.log")) };
  }

  it("is content with a clean run", () => {
    const { search } = testRun("all is well\n");
    registerSecret(key);
    recordOutput("all is well");
    recordReport(process.report.getReport());
    expect(search()).toEqual([]);
  });

  it("finds secrets in the log, in recorded output and in reports", () => {
    const { search } = testRun(`wrote ${canaries.email.base64url}\n`);
    registerSecret(text);
    registerSecret(key);
    recordOutput(`error: ${text}`);
    recordReport({ header: { commandLine: ["node", "--key", key.toString("hex")] } });
    expect(search()).toEqual([
      'canary email is in the output, after "wrote"',
      'registered secret 1 is in a recorded output, after "error:"',
      'registered secret 2 is in a diagnostic report, after "{"header":{"commandLine":["node","--key",""',
    ]);
  });

  it("finds the key of a master key file, whatever the file is called", () => {
    const { folder, search } = testRun("all is well\n");
    const line = `keystead-master-v1:main:${key.toString("base64url")}`;
    registerMasterKeys(temporaryTree({ "data/some.file": `${line}\n`, "data/other": "no key" }));
    expect(readFileSync(join(folder, testRunFiles.secrets), "utf8")).toBe(`${key.toString("hex")}\n`);
    recordReport({});
    recordOutput(`the file holds ${line}`);
    expect(search()).toHaveLength(1);
  });

  it("finds what a process printed in pieces, or as bytes, before it was killed", async () => {
    const { search } = testRun("all is well\n");
    registerSecret(text);
    registerSecret(key);
    recordReport({});
    const program = `
      const [text, hex] = process.argv.slice(1);
      process.stderr.write(text.slice(0, 9), () => process.stderr.write(text.slice(9), () =>
        process.stdout.write(Buffer.concat([Buffer.of(255), Buffer.from(hex, "hex")]), () => process.kill(process.pid, "SIGKILL"))));`;
    const child = watchChild(spawn(process.execPath, ["--eval", program, text, key.toString("hex")]));
    expect(await once(child, "close")).toEqual([null, "SIGKILL"]);
    expect(search()).toEqual([expect.stringContaining("secret 2 is in a recorded"), expect.stringContaining("secret 1 is in a recorded")]);
  });

  it("finds a secret in the report of a process that ended, but not what the test itself told the process", () => {
    const { folder, search } = testRun("all is well\n");
    registerSecret(text);
    const env = watchedEnvironment({ SECRET: text });
    expect(runWatched(process.execPath, ["--eval", "process.exitCode = 3;", text], { env }).status).toBe(3);
    expect(readFileSync(join(folder, testRunFiles.reports), "utf8").split("\n")).toHaveLength(2);
    expect(search()).toEqual([]);
    const failing = `process.on("uncaughtException", () => {}); throw Object.assign(new Error("x"), { key: process.argv[1] });`;
    expect(runWatched(process.execPath, ["--eval", failing, text], { env })).toMatchObject({ status: 0, stderr: "" });
    expect(search()).toEqual([expect.stringContaining("secret 1 is in a diagnostic report")]);
  });

  it("is not content without reports", () => {
    expect(testRun("all is well\n").search()).toEqual(["no worker left a diagnostic report"]);
  });

  it("refuses to search for what is found by chance", () => {
    expect(() => {
      registerSecret("short");
    }).toThrow(RangeError);
  });
});
