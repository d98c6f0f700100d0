import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { blocksOf, commandsOf, flags, masked, prepareFolder, programOf, run } from "./support/blocks.ts";

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
        writeFileSync(join(own.folder, "program.ts"), programOf(block.text));
        const { status, stdout, stderr } = run(process.execPath, [...flags, "program.ts"], own);
        expect({ where, status, stderr }).toEqual({ where, status: 0, stderr: "" });
        const next = blocks[position + 1];
        if (next?.language === "text") expect(masked(stdout)).toBe(masked(next.text));
      } else if (block.language === "console") {
        for (const { command, output } of commandsOf(block.text)) {
          const { status, stdout, stderr } = run("sh", ["-c", command], place);
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
