import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { root } from "../../scripts/tools.ts";
import { temporaryTree } from "./temporary-tree.ts";

interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

function manifest(version: string): string {
  return JSON.stringify({ name: "sample", version, scripts: { postinstall: "node note.cjs" } });
}

function lock(version: string): string {
  return JSON.stringify({ name: "sample", version, lockfileVersion: 3, requires: true, packages: { "": { name: "sample", version } } });
}

/** A project without dependencies that notes each of its installations. */
function project(): string {
  const folder = temporaryTree({
    "package.json": manifest("1.0.0"),
    "package-lock.json": lock("1.0.0"),
    "note.cjs": 'require("fs").appendFileSync("installed.txt", "once\\n");',
    "scripts/say.ts": "const words: string[] = process.argv.slice(2); console.log(JSON.stringify({ words, cwd: process.cwd() }));",
    "scripts/exit.ts": "process.exit(Number(process.argv[2]));",
    "scripts/echo.ts": "process.stdin.pipe(process.stdout);",
    "scripts/wait.ts": 'process.on("SIGTERM", () => process.exit(42)); setInterval(() => {}, 1000); console.log("ready");',
    "scripts/die.ts": 'process.kill(process.pid, "SIGKILL");',
    "elsewhere/here.txt": "",
  });
  for (const file of ["with-node.mjs", "install.mjs", "install-lock.mjs"])
    cpSync(join(root, "scripts", file), join(folder, "scripts", file));
  return realpathSync(folder);
}

function start(
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = folder,
): ChildProcess & { readonly ended: Promise<Ended> } {
  const child = spawn(process.execPath, [join(folder, "scripts", "with-node.mjs"), ...args], { cwd, env: { ...process.env, ...env } });
  const closed = new Promise<Pick<Ended, "code" | "signal">>((resolve) => {
    child.once("close", (code, signal) => {
      resolve({ code, signal });
    });
  });
  const ended = Promise.all([text(child.stdout), text(child.stderr), closed]).then(([stdout, stderr, end]) => ({ stdout, stderr, ...end }));
  return Object.assign(child, { ended });
}

function installations(folder: string): number {
  const file = join(folder, "installed.txt");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").length : 0;
}

describe("with-node", () => {
  it("installs once, says so on stderr only, and passes arguments on", async () => {
    const folder = project();
    const first = await start(folder, ["scripts/say.ts", "a b", "--c"]).ended;
    expect(first).toMatchObject({ code: 0, stdout: `${JSON.stringify({ words: ["a b", "--c"], cwd: folder })}\n` });
    expect(first.stderr).toContain("installing dependencies");
    const second = await start(folder, ["scripts/say.ts"]).ended;
    expect(second).toMatchObject({ code: 0, stderr: "" });
    expect(installations(folder)).toBe(1);
  });

  it("installs once when several commands start at the same moment", async () => {
    const folder = project();
    const ends = await Promise.all([1, 2, 3].map((n) => start(folder, ["scripts/say.ts", String(n)]).ended));
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(installations(folder)).toBe(1);
    expect(existsSync(join(folder, ".keystead-install.lock"))).toBe(false);
  });

  it("installs again when the lock changed", async () => {
    const folder = project();
    await start(folder, ["scripts/say.ts"]).ended;
    writeFileSync(join(folder, "package-lock.json"), lock("2.0.0"));
    writeFileSync(join(folder, "package.json"), manifest("2.0.0"));
    rmSync(join(folder, "node_modules", ".package-lock.json"), { force: true });
    await start(folder, ["scripts/say.ts"]).ended;
    expect(installations(folder)).toBe(2);
  });

  it("installs again after an interrupted installation, which leaves neither its stamp nor npm's record", async () => {
    const folder = project();
    await start(folder, ["scripts/say.ts"]).ended;
    for (const file of [".keystead-installed", ".package-lock.json"]) rmSync(join(folder, "node_modules", file), { force: true });
    await start(folder, ["scripts/say.ts"]).ended;
    expect(installations(folder)).toBe(2);
  });

  it("accepts what npm ci installed by hand", async () => {
    const folder = project();
    mkdirSync(join(folder, "node_modules"));
    writeFileSync(join(folder, "node_modules", ".package-lock.json"), lock("1.0.0"));
    expect(await start(folder, ["scripts/say.ts"]).ended).toMatchObject({ code: 0, stderr: "" });
    expect(installations(folder)).toBe(0);
  });

  it("takes over the lock of a process that is gone", async () => {
    const folder = project();
    const dead = start(folder, ["scripts/die.ts"]);
    await dead.ended;
    rmSync(join(folder, "node_modules"), { recursive: true });
    writeFileSync(join(folder, ".keystead-install.lock"), `${hostname()} ${String(dead.pid)}\n`);
    expect(await start(folder, ["scripts/say.ts"]).ended).toMatchObject({ code: 0 });
  });

  it("fails with npm's messages when the installation fails", async () => {
    const folder = project();
    writeFileSync(join(folder, "note.cjs"), 'console.error("note is broken"); process.exit(1);');
    const { code, stdout, stderr } = await start(folder, ["scripts/say.ts"]).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("note is broken");
    expect(stderr).toContain("keystead: npm ci failed");
    expect(existsSync(join(folder, "node_modules", ".keystead-installed"))).toBe(false);
  });

  it("passes standard input, exit code and signals through", async () => {
    const folder = project();
    expect(await start(folder, ["scripts/exit.ts", "7"]).ended).toMatchObject({ code: 7 });
    const echo = start(folder, ["scripts/echo.ts"]);
    echo.stdin?.end("through");
    expect(await echo.ended).toMatchObject({ code: 0, stdout: "through" });
    const waiting = start(folder, ["scripts/wait.ts"]);
    waiting.stdout?.once("data", () => waiting.kill("SIGTERM"));
    expect(await waiting.ended).toMatchObject({ code: 42 });
    expect(await start(folder, ["scripts/die.ts"]).ended).toMatchObject({ code: null, signal: "SIGKILL" });
  });

  it("hears a signal that npm got, so that nothing is left behind when npm ends", async () => {
    const folder = project();
    await start(folder, ["scripts/say.ts"]).ended;
    const { scripts } = z
      .object({ scripts: z.record(z.string(), z.string()) })
      .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));
    for (const [name, command] of Object.entries(scripts))
      if (command.includes("with-node.mjs")) expect([name, command]).toEqual([name, expect.stringMatching(/^exec node /)]);
    const waiting = scripts["start"]?.replace(/ src\/cli\/main\.ts .*$/, " scripts/wait.ts");
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "sample", version: "1.0.0", scripts: { start: waiting } }));
    const npm = spawn("npm", ["start", "--silent"], { cwd: folder });
    const ended = new Promise((resolve) => npm.once("close", resolve));
    npm.stdout.once("data", () => npm.kill("SIGTERM"));
    expect(await ended).toBe(42);
  });

  it("starts in the root, or where the caller stands when asked", async () => {
    const folder = project();
    const elsewhere = join(folder, "elsewhere");
    const cwdOf = async (args: readonly string[], env: Readonly<Record<string, string>>, cwd: string): Promise<unknown> =>
      JSON.parse((await start(folder, args, env, cwd).ended).stdout);
    expect(await cwdOf(["scripts/say.ts"], { INIT_CWD: elsewhere }, folder)).toMatchObject({ cwd: folder });
    expect(await cwdOf(["--caller-cwd", "scripts/say.ts"], { INIT_CWD: elsewhere }, folder)).toMatchObject({ cwd: elsewhere });
    expect(await cwdOf(["--caller-cwd", "scripts/say.ts"], { INIT_CWD: folder }, elsewhere)).toMatchObject({ cwd: elsewhere });
  });
});
