import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { npm } from "../../scripts/npm.ts";
import { packPackage } from "../../scripts/pack-package.ts";
import { readManifest, root, tool } from "../../scripts/tools.ts";
import { nodeVersionProblem } from "../../src/cli/node-version.ts";
import { canaries } from "../setup/canary.ts";
import { registerMasterKeys } from "../setup/master-keys.ts";
import { type Ended, runWatched, type Watch, watchedEnvironment } from "../setup/watched-child.ts";

const manifest = readManifest(root);
const subpaths = Object.keys(z.record(z.string(), z.unknown()).parse(manifest.exports));
const modules = subpaths.filter((path) => path !== "./package.json").map((path) => `${manifest.name}${path.slice(1)}`);

/** An empty project, outside of the repository, into which the packed package is installed. */
const folder = realpathSync(mkdtempSync(join(tmpdir(), "keystead-package-")));
const consumer = join(folder, "consumer");
const installed = join(consumer, "node_modules", manifest.name);

function node(args: readonly string[]): Ended {
  return runWatched(process.execPath, args, { cwd: consumer });
}

/** Runs the installed command. */
function keystead(args: readonly string[], input = "", watch: Watch = {}): Ended {
  const main = join(installed, "dist", "cli", "main.js");
  const env = watchedEnvironment({ PATH: process.env["PATH"] });
  return runWatched(process.execPath, [main, ...args], { ...watch, cwd: consumer, input, env });
}

/** A Node of this machine that is too old for Keystead. */
function oldNode(): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/bin", "/usr/bin"];
  const found = folders.map((folder) => join(folder, "node")).filter((file) => existsSync(file));
  return found.find((file) => {
    const { stdout } = runWatched(file, ["--version"]);
    return /^v\d/.test(stdout) && nodeVersionProblem(stdout.slice(1).trim()) !== undefined;
  });
}

beforeAll(() => {
  mkdirSync(consumer);
  writeFileSync(join(consumer, "package.json"), '{ "private": true, "type": "module" }\n');
  const tarball = packPackage(folder);
  npm(["install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", tarball], consumer);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("the packed package", () => {
  it.each(modules)("exports something under %s", (specifier) => {
    const program = `const module = await import(${JSON.stringify(specifier)}); console.log(JSON.stringify(Object.keys(module)));`;
    const { status, stdout, stderr } = node(["--input-type=module", "--eval", program]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).not.toEqual([]);
  });

  it("keeps everything else to itself", () => {
    const { status, stderr } = node(["--input-type=module", "--eval", `await import("${manifest.name}/dist/index.js");`]);
    expect(status).not.toBe(0);
    expect(stderr).toContain("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  it("has types that a strict program compiles against", () => {
    const lines = modules.map((specifier, index) => `export * as m${index} from "${specifier}";`);
    writeFileSync(join(consumer, "program.ts"), `${lines.join("\n")}\n`);
    const types = ["--types", "node", "--typeRoots", join(root, "node_modules", "@types")];
    const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2024", "--lib", "es2024,esnext.disposable", ...types];
    expect(node([tool("typescript", "tsc"), ...options, "program.ts"])).toMatchObject({ status: 0, stdout: "" });
  });

  it("has a command that says its version and how to use it", () => {
    expect(keystead(["--version"])).toMatchObject({ status: 0, stdout: `${manifest.version}\n`, stderr: "" });
    const help = keystead(["--help"]);
    expect(help).toMatchObject({ status: 0, stderr: "" });
    expect(help.stdout).toContain("Usage: keystead");
  });

  it("has a command that makes a store, and seals and opens a value", () => {
    const { text } = canaries.email;
    expect(keystead(["init"])).toMatchObject({ status: 0, stdout: expect.stringContaining("made store") as unknown });
    registerMasterKeys(join(consumer, "keystead-data"));
    expect(keystead(["keys", "create", "pii", "--purpose", "pii"])).toMatchObject({ status: 0 });
    const sealed = keystead(["encrypt", "--key", "pii", "--context", "row=1"], text);
    expect(sealed).toMatchObject({ status: 0, stdout: expect.stringMatching(/^ks1:pii:1-/) as unknown });
    expect(keystead(["decrypt", "--context", "row=1"], sealed.stdout, { showsPlaintext: true })).toMatchObject({ status: 0, stdout: text });
    expect(keystead(["decrypt", "--context", "row=2"], sealed.stdout)).toMatchObject({ status: 3, stdout: "" });
    expect(keystead(["doctor"])).toMatchObject({ status: 0 });
  });

  it("has a command that takes the tour", () => {
    const { status, stdout, stderr } = keystead(["tour", "--rows", "50", "--json"]);
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ rows: 50, verified: { rows: 50, leftAlone: 0 }, problems: [] });
  });

  it("has a command that tells an old Node what is wrong", (context) => {
    const old = oldNode();
    if (old === undefined) return context.skip("there is no Node here that is too old");
    const { status, stdout, stderr } = runWatched(old, [join(installed, "dist", "cli", "main.js"), "init"], { cwd: consumer });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/^keystead: this is Node \S+ and Keystead needs Node 24\.7 or later; [^\n]+\n$/);
  });

  it.skipIf(process.platform === "win32")("links the command under its name", () => {
    const path = `${join(process.execPath, "..")}:${process.env["PATH"] ?? ""}`;
    const command = join(consumer, "node_modules", ".bin", "keystead");
    expect(runWatched(command, ["--version"], { cwd: consumer, env: { ...process.env, PATH: path } })).toMatchObject({
      status: 0,
      stdout: `${manifest.version}\n`,
    });
  });
});
