import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Command, Option } from "commander";
import { describe, expect, it } from "vitest";
import { listFiles, root } from "../../scripts/tools.ts";
import { buildProgram } from "../../src/cli/program.ts";

const program = buildProgram();
const pages = ["README.md", "SECURITY.md", "ARCHITECTURE.md"].concat(
  ["docs", "deploy"].flatMap((folder) => listFiles(join(root, folder)).map((file) => relative(root, file))),
);

/** A command as a page names it. */
interface Named {
  readonly words: readonly string[];
  /** It stands in a sentence, where the name of a command alone is the command, and not a way to type it. */
  readonly inSentence: boolean;
}

/** What stands between commands of a line, and where their output goes. */
const ends = /\s(?:[|;&]+|[<>]+)(?:\s|$)/;
const words = /'[^']*'|"[^"]*"|[^\s'"]+/g;

function* commandsOf(page: string): Generator<Named> {
  const text = readFileSync(join(root, page), "utf8").replaceAll("\\\n", " ");
  const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
  const sentences = text.replaceAll(/^```\w*\n[\s\S]*?^```$/gm, "");
  const lines = page.endsWith(".md")
    ? blocks.flatMap(([, language, block = ""]) => (language === "mermaid" ? [] : block.split("\n")))
    : text.split("\n");
  for (const line of lines)
    for (const part of line.split(ends)) {
      // Who runs it, or where, stands before it: `sudo -u keystead keystead keys list`.
      const started = part.replace(/^docker run .* keystead:\w+ /, "keystead ");
      const [, command] =
        /^(?:\s*\$?\s*(?:sudo .*|docker compose exec .*|npm run -s |exec |NODE_OPTIONS="[^"]*" )?)keystead (?:-- )?(.*)$/.exec(started) ??
        [];
      if (command !== undefined) yield { words: command.match(words) ?? [], inSentence: false };
    }
  for (const [, code = ""] of sentences.matchAll(/`keystead ([^`]*)`/g))
    yield { words: code.split(ends)[0]?.match(words) ?? [], inSentence: true };
}

/** What is wrong with a command; undefined when it can be typed as it stands. */
function problemOf({ words: given, inSentence }: Named): string | undefined {
  let command: Command = program;
  let isPath = true;
  let operands = 0;
  const seen = new Set<Option>();
  for (let at = 0; at < given.length; at += 1) {
    const word = given[at] ?? "";
    if (word === "…" || word === "ARGS") return undefined;
    if (/^--?[a-zA-Z]/.test(word)) {
      const [flag = ""] = word.split("=");
      const option = [...command.options, ...program.options].find(({ long, short }) => long === flag || short === flag);
      if (flag === "--help" || flag === "-h") return undefined;
      if (option === undefined) return `${command.name()} has no ${flag}`;
      seen.add(option);
      if ((option.required || option.optional) && !word.includes("=")) at += 1;
      isPath &&= program.options.includes(option);
      continue;
    }
    const child = operands === 0 ? command.commands.find((each) => each.name() === word || each.aliases().includes(word)) : undefined;
    if (child === undefined && command.commands.length > 0) return `${command.name()} has no ${word}`;
    if (child === undefined) {
      operands += 1;
      isPath = false;
    } else command = child;
  }
  if (inSentence && isPath) return undefined;
  if (command.commands.length > 0) return `${command.name()} wants to know what to do`;
  const needed = command.registeredArguments.filter(({ required }) => required);
  if (operands < needed.length) return `${command.name()} wants ${needed.map((argument) => argument.name()).join(", ")}`;
  const isOpen = command.registeredArguments.some(({ variadic }) => variadic);
  if (!isOpen && operands > command.registeredArguments.length) return `${command.name()} takes fewer words`;
  const missing = command.options.find((option) => option.mandatory && !seen.has(option));
  return missing === undefined ? undefined : `${command.name()} wants ${missing.flags}`;
}

describe("commands that are named", () => {
  it("are told from those that can't be typed", () => {
    const problem = (line: string, inSentence = false): string | undefined => problemOf({ words: line.match(words) ?? [], inSentence });
    expect(problem("tokens create first --role admin")).toBeUndefined();
    expect(problem("--dir /srv/data keys list --json")).toBeUndefined();
    expect(problem("tokens create --role ROLE", true)).toBe("create wants name");
    expect(problem("tokens create", true)).toBeUndefined();
    expect(problem("tokens create")).toBe("create wants name");
    expect(problem("tokens make x")).toBe("tokens has no make");
    expect(problem("keys list --verbose")).toBe("list has no --verbose");
    expect(problem("audit export")).toBe("export wants --out <file>");
  });

  it.each(pages)("in %s can be typed as they stand", (page) => {
    const bad = [...commandsOf(page)].flatMap((named) => {
      const problem = problemOf(named);
      return problem === undefined ? [] : [`keystead ${named.words.join(" ")}: ${problem}`];
    });
    expect(bad).toEqual([]);
  });

  it("are many", () => {
    expect(pages.reduce((count, page) => count + [...commandsOf(page)].length, 0)).toBeGreaterThan(150);
  });
});
