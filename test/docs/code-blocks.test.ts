import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { registerMasterKeys } from "../setup/master-keys.ts";
import { runWatched, watchedEnvironment } from "../setup/watched-child.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

const pages = [
  "README.md",
  "docs/datasets.md",
  "docs/codecs.md",
  "docs/fields.md",
  "docs/operations.md",
  "docs/production-table.md",
  "docs/access.md",
  "docs/audit.md",
];
const flags = ["--disable-warning=ExperimentalWarning"];

interface Block {
  readonly language: string;
  readonly text: string;
  readonly line: number;
  /** The last JSON file that the text above it names. */
  readonly file: string | undefined;
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(page, "utf8");
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1] ?? "",
    text: match[2] ?? "",
    line: text.slice(0, match.index).split("\n").length,
    file: [...text.slice(0, match.index).matchAll(/`([\w-]+\.json)`/g)].at(-1)?.[1],
  }));
}

/** What differs from run to run: fingerprints, ids, payloads and the spaces that align a table. */
function masked(text: string): string {
  return text
    .replaceAll(/\b(\d+)-[a-z2-7]{6}\b/g, "$1-······")
    .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "(id)")
    .replaceAll(/(ks1:[^:\s]+:[^:\s]+:)[A-Za-z0-9_-]+/g, "$1…")
    .replaceAll(/ {2,}/g, "  ")
    .trimEnd();
}

/** A folder with the command, and the table that the pages speak of. */
function prepareFolder(): { readonly folder: string; readonly path: string } {
  const folder = temporaryFolder();
  const bin = join(folder, "bin");
  mkdirSync(bin);
  const command = join(bin, "keystead");
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" ${flags.join(" ")} "${resolve("src/cli/main.ts")}" "$@"\n`);
  chmodSync(command, 0o755);
  return { folder, path: `${bin}${delimiter}${process.env["PATH"] ?? ""}` };
}

function makePersons(folder: string): void {
  const database = new DatabaseSync(join(folder, "crm.db"));
  database.exec(
    "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, email TEXT, email_index TEXT, name_index TEXT, name_index_2 TEXT); BEGIN",
  );
  const insert = database.prepare("INSERT INTO person (id, name, email) VALUES (?, ?, ?)");
  const names = ["Anna", "Ana", "Boris", "Zoë", "Minh"];
  for (let id = 1; id <= 1000; id += 1) insert.run(id, `${names[id % 5] ?? ""} ${String(id)}`, `p${String(id)}@example.org`);
  database.exec("COMMIT");
  database.close();
}

/** Commands with the output that stands below each. */
function commandsOf(text: string): { readonly command: string; readonly output: string }[] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return { command: part.slice(0, end), output: part.slice(end + 1) };
    });
}

function run(command: string, args: readonly string[], folder: string, path: string) {
  const ended = runWatched(command, args, { cwd: folder, env: watchedEnvironment({ PATH: path, NO_COLOR: "1" }) });
  registerMasterKeys(folder);
  return ended;
}

/** Shell blocks name commands of npm whose work other tests do: the package test installs, the tour test takes the tour. */
const npmCommands = new Set(["npm install keystead", "npm start", "npm run tour", "npm test"]);

describe.each(pages)("%s", (page) => {
  // Each command is a process of its own: slow machines need minutes for a page.
  it("does what its code blocks say", { timeout: 300_000 }, () => {
    const blocks = blocksOf(page);
    expect(blocks.length).toBeGreaterThan(0);
    const place = prepareFolder();
    if (page !== "docs/fields.md") makePersons(place.folder);
    for (const [position, block] of blocks.entries()) {
      const where = `${page}:${String(block.line)}`;
      if (block.language === "ts") {
        // A store of its own: other blocks of the page make one in the same folder.
        const own = page === "docs/fields.md" ? place : prepareFolder();
        const program = block.text.replaceAll(/from "keystead(?:\/(\w+))?"/g, (_, part: string | undefined) => {
          const file = part === undefined ? "src/index.ts" : `src/${part}/index.ts`;
          return `from "${pathToFileURL(resolve(file)).href}"`;
        });
        writeFileSync(join(own.folder, "program.ts"), program);
        const { status, stdout, stderr } = run(process.execPath, [...flags, "program.ts"], own.folder, own.path);
        expect({ where, status, stderr }).toEqual({ where, status: 0, stderr: "" });
        const next = blocks[position + 1];
        if (next?.language === "text") expect(masked(stdout)).toBe(masked(next.text));
      } else if (block.language === "console") {
        for (const { command, output } of commandsOf(block.text)) {
          const { status, stdout, stderr } = run("sh", ["-c", command], place.folder, place.path);
          expect({ where, command, status, stderr: status === 0 ? "" : stderr }).toEqual({ where, command, status: 0, stderr: "" });
          if (output.trim() !== "") expect(masked(stdout), `${where} ${command}`).toBe(masked(output));
        }
      } else if (block.language === "sh") {
        for (const line of block.text.trim().split("\n")) expect(npmCommands).toContain(line.replace(/\s*#.*/, ""));
      } else if (block.language === "json") {
        expect(block.file, where).toBeDefined();
        writeFileSync(join(place.folder, block.file ?? ""), block.text);
      } else {
        expect(block.language, where).toBe("text");
      }
    }
  });
});
