import { spawnSync } from "node:child_process";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import type { completionScripts } from "../../src/cli/completion-scripts.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

const flag = "--disable-warning=ExperimentalWarning";

interface Shell {
  readonly args: readonly string[];
  /** Prints what the shell would offer behind the words, one a line: `VALUE` and more. */
  readonly offer: (script: string, words: readonly string[]) => string;
}

const shells: Readonly<Record<keyof typeof completionScripts, Shell>> = {
  bash: {
    args: ["--norc", "-c"],
    offer: (script, words) =>
      `source '${script}'; COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${String(words.length - 1)}; ` +
      `_keystead; printf '%s\\n' "\${COMPREPLY[@]}"`,
  },
  zsh: {
    // The completion system needs a terminal; these are the three of its functions that the script calls.
    args: ["-f", "-c"],
    offer: (script, words) =>
      `compdef() { : }; _files() { print FILES }; _describe() { print -l -- "\${(@P)2}" }; source '${script}'; ` +
      `words=(${words.map((word) => `'${word}'`).join(" ")}); CURRENT=${String(words.length)}; _keystead`,
  },
  fish: {
    args: ["--no-config", "-c"],
    offer: (script, words) => `source '${script}'; complete -C '${words.join(" ")}'`,
  },
};

describe.each(Object.entries(shells))("the completion of %s", (name, { args, offer }) => {
  it("offers what there is behind the cursor, and evaluates nothing", (context) => {
    if (spawnSync(name, ["--version"]).status !== 0) return context.skip(`there is no ${name} here`);
    const folder = temporaryFolder();
    const command = join(folder, "keystead");
    writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" ${flag} "${resolve("src/cli/main.ts")}" "$@"\n`);
    chmodSync(command, 0o755);
    const script = join(folder, "completion");
    const env = { ...process.env, HOME: folder, PATH: `${folder}${delimiter}${process.env["PATH"] ?? ""}` };
    writeFileSync(script, spawnSync(command, ["completion", name], { env, encoding: "utf8" }).stdout);
    const complete = (...words: readonly string[]): string[] => {
      const { status, stdout, stderr } = spawnSync(name, [...args, offer(script, ["keystead", ...words])], {
        cwd: folder,
        env,
        encoding: "utf8",
      });
      expect({ words, status, stderr }).toEqual({ words, status: 0, stderr: "" });
      return stdout.split("\n").flatMap((line) => /^[\w-]+/.exec(line)?.[0] ?? []);
    };
    // In the order that the shell likes.
    expect(complete("ke").toSorted()).toEqual(["kek", "keys"]);
    expect(complete("keys", "rot")).toEqual(["rotate"]);
    expect(complete("keys", "create", "--usage", "blind")).toEqual(["blind-index"]);
    complete("keys", "show", "$(touch evaluated)", "");
    expect(readdirSync(folder)).not.toContain("evaluated");
  });
});
