import { describe, expect, it } from "vitest";
import { encryptAlgorithmNames } from "../../src/cli/algorithm-names.ts";
import { completionsOf } from "../../src/cli/completions.ts";
import { buildProgram } from "../../src/cli/program.ts";

function complete(...words: readonly string[]): string[] {
  return completionsOf(buildProgram(), words).map(({ value }) => value);
}

describe("completionsOf", () => {
  it("completes commands and the commands below them", () => {
    expect(complete("ke")).toEqual(["keys", "kek"]);
    expect(complete("keys", "re")).toEqual(["resume"]);
    expect(complete("--dir", "keys", "routes", "")).toEqual(["list", "set", "help"]);
  });

  it("completes options, those of every command included, and the values of a choice", () => {
    expect(complete("keys", "create", "x", "--pu")).toEqual(["--purpose"]);
    expect(complete("keys", "create", "x", "--js")).toEqual(["--json"]);
    expect(complete("keys", "create", "--usage", "")).toEqual(["encrypt", "blind-index", "mac", "sign"]);
    expect(complete("keys", "create", "--algorithm", "A")).toEqual(["AES-256-GCM", "AES-256-GCM-KC"]);
    expect(complete("keys", "create", "--algorithm", "E")).toEqual(["Ed25519"]);
    expect(complete("purposes", "set", "pii", "--algorithm", "")).toEqual(encryptAlgorithmNames);
    expect(complete("hash", "--algorithm", "SHA3-5")).toEqual(["SHA3-512"]);
    expect(complete("data-keys", "")).toEqual(["create", "open", "help"]);
    expect(complete("settings", "set", "back")).toEqual(["backupRetentionDays"]);
    expect(complete("completion", "z")).toEqual(["zsh"]);
  });

  it("completes what help is wanted for", () => {
    expect(complete("help", "ke")).toEqual(["keys", "kek"]);
    expect(complete("keys", "help", "ro")).toEqual(["rotate"]);
    expect(complete("keys", "help", "")).not.toContain("help");
    expect(complete("help", "keys", "")).toEqual([]);
    expect(complete("keys", "show", "help")).toEqual([]);
  });

  it("leaves files, names and values to the shell", () => {
    expect(complete("encrypt", "--file", "")).toEqual([]);
    expect(complete("keys", "show", "")).toEqual([]);
    expect(complete("settings", "set", "refreshBound", "")).toEqual([]);
  });

  it("has a description on one line for everything", () => {
    for (const { value, description } of completionsOf(buildProgram(), [""])) expect(description, value).toMatch(/^[^\n\t]+$/);
  });
});
