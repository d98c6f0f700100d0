import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { canaries } from "../setup/canary.ts";
import { registerMasterKeys } from "../setup/master-keys.ts";
import { serve } from "../support/serve-process.ts";
import { runWatched, watchChild, watchedEnvironment } from "../setup/watched-child.ts";

const folder = mkdtempSync(join(tmpdir(), "keystead-prompts-"));
const command = [process.execPath, "--disable-warning=ExperimentalWarning", resolve("src/cli/main.ts")];
const hasTerminal = spawnSync("script", ["--quiet", "--return", "--command", "true", "/dev/null"]).status === 0;

/** What is typed, each as soon as the terminal shows what stands before it. */
type Typed = readonly (readonly [shown: string, keys: string])[];

/** Runs a command on a terminal of its own. */
async function onTerminal(
  args: readonly string[],
  typed: Typed,
  dir = "data",
): Promise<{ readonly code: number | null; readonly shown: string }> {
  const line = [...command, ...args].map((word) => `'${word}'`).join(" ");
  const started = spawn("script", ["--quiet", "--return", "--command", `stty cols 100; exec ${line}`, "/dev/null"], {
    cwd: folder,
    env: watchedEnvironment({ PATH: process.env["PATH"], SHELL: "/bin/sh", TERM: "xterm", KEYSTEAD_DIR: join(folder, dir) }),
    stdio: ["pipe", "pipe", "pipe"],
  });
  const child = watchChild(started);
  let [shown, seen] = ["", 0];
  const waiting = [...typed];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    shown += stripVTControlCharacters(chunk);
    const [next] = waiting;
    const at = next === undefined ? -1 : shown.indexOf(next[0], seen);
    if (next === undefined || at === -1) return;
    waiting.shift();
    seen = at + next[0].length;
    child.stdin.write(next[1]);
  });
  const [code] = (await once(child, "close")) as [number | null];
  expect(waiting, shown).toEqual([]);
  return { code, shown };
}

function keystead(...args: readonly string[]): string {
  const [node = "", ...prefix] = command;
  const { status, stdout, stderr } = runWatched(node, [...prefix, ...args], {
    cwd: folder,
    env: watchedEnvironment({ PATH: process.env["PATH"], KEYSTEAD_DIR: join(folder, "data") }),
  });
  expect({ args, status, stderr: status === 0 ? "" : stderr }).toEqual({ args, status: 0, stderr: "" });
  return stdout;
}

beforeAll(() => {
  keystead("init");
  registerMasterKeys(folder);
  keystead("keys", "create", "pii", "--purpose", "pii");
  keystead("keys", "rotate", "pii");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("on a terminal", () => {
  beforeEach((context) => {
    if (!hasTerminal) context.skip("there is no script of util-linux here, which makes terminals");
  });

  const question = "Schedule the destruction of version 1";

  it.each([
    ["n", "no"],
    ["\r", "what is offered"],
    ["\u0003", "Ctrl-C"],
  ])("%j (%s) leaves everything as it is", async (keys) => {
    const { code, shown } = await onTerminal(["keys", "destroy", "pii", "1"], [[question, keys]]);
    expect(code, shown).toBe(12);
    expect(shown).toContain("keystead: cancelled; nothing was changed");
    expect(keystead("keys", "show", "pii", "--json")).not.toContain("destruction-pending");
  });

  it("y does it", async () => {
    const { code, shown } = await onTerminal(["keys", "destroy", "pii", "1", "--reason", "retired"], [[question, "y"]]);
    expect(code, shown).toBe(0);
    expect(shown).toContain("opens nothing from now on");
    expect(keystead("keys", "show", "pii", "--json")).toContain("destruction-pending");
  });

  it.each(["random 32", "data-keys open --file nothing"])("no bytes are written: %s", async (line) => {
    const { code, shown } = await onTerminal(line.split(" "), []);
    expect(code, shown).toBe(2);
    expect(shown.trim()).toBe("keystead: binary data is not written to a terminal; give --out FILE, or --out - to force it");
  });

  it("bytes are text in JSON", async () => {
    const { code, shown } = await onTerminal(["random", "32", "--json"], []);
    expect(code, shown).toBe(0);
    expect(JSON.parse(shown)).toEqual({ bytesBase64url: expect.stringMatching(/^[\w-]{43}$/) as unknown });
  });

  it("a new passphrase is typed twice, and never shown", async () => {
    const { text: passphrase } = canaries.passphrase;
    const ask = "New passphrase of the master key main";
    const again = "The same again";
    const init = ["init", "--passphrase"];
    const differing = await onTerminal(
      init,
      [
        [ask, `${passphrase}\r`],
        [again, "something else\r"],
      ],
      "asked",
    );
    expect(differing.code, differing.shown).toBe(2);
    expect(differing.shown).toContain("the two passphrases differ; start again");
    const made = await onTerminal(
      init,
      [
        [ask, `${passphrase}\r`],
        [again, `${passphrase}\r`],
      ],
      "asked",
    );
    expect(made.code, made.shown).toBe(0);
    const listed = await onTerminal(["keys", "list"], [["Passphrase of the master key main", `${passphrase}\r`]], "asked");
    expect(listed.code, listed.shown).toBe(0);
    expect(listed.shown).toContain("NAME");
    for (const { shown } of [differing, made, listed]) expect(shown).not.toContain(passphrase);
  });

  it("the first token of a server is shown once, and is good", async () => {
    const data = join(folder, "served");
    const served = ["serve", "--init", "--data", data, "--port", "0"];
    // What is typed comes behind the token, which the welcome names before its commands.
    const first = await onTerminal(served, [["/v1/encrypt", "\u0003"]]);
    expect(first.code, first.shown).toBe(0);
    registerMasterKeys(data);
    const tokens = [...first.shown.matchAll(/KEYSTEAD_TOKEN=(\S+)/g)].map(([, token]) => token);
    expect(tokens).toHaveLength(1);
    const again = await onTerminal(served, [["/v1/encrypt", "\u0003"]]);
    expect(again.code, again.shown).toBe(0);
    expect(again.shown).not.toContain("kst_");
    const server = await serve("--data", data, "--port", "0");
    const answer = await fetch(`${server.url}/v1/whoami`, { headers: { authorization: `Bearer ${tokens[0] ?? ""}` } });
    expect(await answer.json()).toMatchObject({ roles: expect.arrayContaining(["admin"]) as unknown });
    expect(await server.end()).toBe(0);
    expect(server.errors()).not.toContain("kst_");
  });
});
