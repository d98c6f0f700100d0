import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { algorithmNames, encryptAlgorithmNames, hashAlgorithmNames } from "../../src/cli/algorithm-names.ts";
import { parseConfiguration } from "../../src/cli/configuration.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { parseDatasetInput } from "../../src/datasets/definition.ts";
import { algorithms } from "../../src/crypto/algorithms.ts";
import { hashNames } from "../../src/index.ts";
import { codeOf, createTestKeystead } from "../support/test-keystead.ts";

function commandsBelow(command: Command, path: string): [string, Command][] {
  return command
    .createHelp()
    .visibleCommands(command)
    .flatMap((child) => {
      const childPath = `${path} ${child.name()}`;
      return child.name() === "help" ? [] : [[childPath, child] as [string, Command], ...commandsBelow(child, childPath)];
    });
}

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

describe("the help", () => {
  const commands = commandsBelow(buildProgram(), "keystead");

  it.each(commands)("of %s has a description and an example of itself", (path, command) => {
    const help = helpOf(command);
    expect(command.description()).toMatch(/^[A-Z].*[.]$/s);
    expect(help).toContain("Examples:");
    expect(help.slice(help.indexOf("Examples:"))).toContain(path);
  });

  it("names only commands and options in its examples that there are", () => {
    const examples = [...commands, ["keystead", buildProgram()] as const].flatMap(([, command]) =>
      [...helpOf(command).matchAll(/^ {2}\$ (?:.* [|&]+ )*(keystead .*(?:\\\n.*)*)/gm)].map(([, example = ""]) => example),
    );
    expect(examples.length).toBeGreaterThan(commands.length);
    for (const example of examples) {
      const [path, command] = commands.filter(([known]) => `${example} `.startsWith(`${known} `)).at(-1) ?? [];
      expect(path, example).toBeDefined();
      expect(command?.commands, example).toEqual([]);
      const known = new Set([...(command?.options ?? []), ...buildProgram().options].flatMap(({ long }) => long ?? []));
      for (const [option] of example.matchAll(/(?<=\s)--[a-z-]+/g)) expect(known, example).toContain(option);
    }
  });

  it("shows JSON that is taken", () => {
    const jsonIn = (path: string): string =>
      / {2}\{\n(?: {3}.*\n)+ {2}\}/.exec(helpOf(commands.find(([known]) => known === path)?.[1] ?? buildProgram()))?.[0] ?? "";
    const { definition, unplanned } = parseDatasetInput("crm.person", JSON.parse(jsonIn("keystead datasets add")));
    expect({ database: definition.database, unplanned }).toEqual({ database: "crm", unplanned: [] });
    expect(parseConfiguration(jsonIn("keystead init"), "keystead.json").databases).toEqual({ crm: "sqlite:/srv/crm.db" });
  });
});

/** Modules of this project that are loaded together with `file`: what it imports for its values, and not on use. */
function loadedWith(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file) || !existsSync(file)) return seen;
  seen.add(file);
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest);
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue;
    if (statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword) continue;
    const specifier = statement.moduleSpecifier.text;
    if (specifier.startsWith(".")) loadedWith(join(dirname(file), specifier), seen);
    else seen.add(specifier);
  }
  return seen;
}

function sourceFile(path: string): string {
  return fileURLToPath(new URL(`../../src/${path}`, import.meta.url));
}

describe("the entry", () => {
  it("loads nothing that an old Node may not know before it has looked at the version", () => {
    const loaded = [...loadedWith(sourceFile("cli/main.ts"))];
    expect(loaded).toEqual(["cli/main.ts", "cli/node-version.ts", "errors.ts"].map(sourceFile));
  });
});

describe("the algorithms of the command line", () => {
  it("are those of the engine", () => {
    expect(algorithmNames).toEqual(Object.keys(algorithms));
    expect(hashAlgorithmNames).toEqual(hashNames);
  });

  it("are, for a purpose, just those that it takes", async () => {
    const { keystead } = await createTestKeystead();
    const taken = [];
    for (const algorithm of algorithmNames) {
      const code = await codeOf(keystead.purposes.set("pii", { algorithms: [algorithm] }));
      if (code === "no error") taken.push(algorithm);
    }
    expect(encryptAlgorithmNames).toEqual(taken);
  });
});

describe("help, version and completion", () => {
  it("load neither the engine nor its libraries", () => {
    const loaded = [...loadedWith(sourceFile("cli/run.ts"))];
    expect(loaded.filter((file) => /\/src\/(?!cli\/|(?:errors|durable-file|nearest-name)\.ts$)/.test(file))).toEqual([]);
    expect(loaded.filter((file) => !file.startsWith("/") && !file.startsWith("node:"))).toEqual(["commander"]);
  });
});
