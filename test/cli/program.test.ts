import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { buildProgram } from "../../src/cli/program.ts";

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

  it.each(commands.filter(([, command]) => command.commands.length === 0))(
    "of %s has a description and an example of itself",
    (path, command) => {
      const help = helpOf(command);
      expect(command.description()).toMatch(/^[A-Z].*[.]$/s);
      expect(help).toContain("Examples:");
      expect(help.slice(help.indexOf("Examples:"))).toContain(path);
    },
  );

  it("names only options in its examples that there are", () => {
    for (const [path, command] of commands) {
      const help = helpOf(command);
      const known = new Set([...command.options, ...buildProgram().options].flatMap(({ long }) => long ?? []));
      const lines = help
        .slice(help.indexOf("Examples:"))
        .split("\n")
        .filter((line) => line.includes(`$ ${path} `));
      for (const [option] of lines.join("\n").matchAll(/(?<=\s)--[a-z-]+/g)) expect(known, `${path}: ${option}`).toContain(option);
    }
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

describe("help, version and completion", () => {
  it("load neither the engine nor its libraries", () => {
    const loaded = [...loadedWith(fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url)))];
    expect(loaded.filter((file) => /\/src\/(?!cli\/|(?:errors|durable-file)\.ts$)/.test(file))).toEqual([]);
    expect(loaded.filter((file) => !file.startsWith("/") && !file.startsWith("node:"))).toEqual(["commander"]);
  });
});
