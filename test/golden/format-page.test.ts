import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { encodeFields } from "../../src/crypto/encode.ts";
import { manifestTable } from "../../src/store/sql/manifest.ts";
import { layoutOf } from "../../src/store/sql/table-layout.ts";
import { tables } from "../../src/store/tables.ts";
import { auditFile, readStream, storeStatements, streams, textsOfAll } from "./support/golden-files.ts";

const page = readFileSync(new URL("../../docs/format.md", import.meta.url), "utf8");
const golden = [...textsOfAll(), storeStatements, ...streams.map(({ file }) => readStream(file).toString("hex"))].join("\n");

/** Contents of the page's code blocks in a language. */
function blocks(language: string): string[] {
  return [...page.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].flatMap(([, found, content = ""]) => (found === language ? [content] : []));
}

/** Bytes of a block: each line begins with hexadecimal in groups; two spaces end it. */
function bytesOf(block: string): string {
  return block
    .split("\n")
    .map((line) => (line.split("  ")[0] ?? "").replaceAll(" ", ""))
    .join("");
}

describe("docs/format.md", () => {
  const examples = blocks("hex").map(bytesOf);

  it.each(examples)("shows bytes of a golden file: %s", (bytes) => {
    expect(bytes).toMatch(/^[0-9a-f]{16,}$/);
    expect(golden.includes(bytes)).toBe(true);
  });

  const encoded = "00000011 6b6579737465616420636865636b207631 00000004 6d61696e";
  const quoted =
    page
      .replace(encoded, "")
      .match(/ks1:[^\s`'…]{40,}|keystead-master-v1:main:[\w-]{43}|\d-[a-z2-7]{6}\.[\w-]{43}|(?<![\w-])[0-9a-f]{32,}(?![\w-])/g) ?? [];

  it("shows E(…) as it is", () => {
    expect(page).toContain(`\`${encoded}\``);
    expect(encodeFields("keystead check v1", "main").toString("hex")).toBe(encoded.replaceAll(" ", ""));
  });

  it.each([...new Set(quoted)].map((text) => ({ text })))("quotes a golden file: $text", ({ text }) => {
    expect(golden.includes(text)).toBe(true);
  });

  it("has examples of each kind", () => {
    expect(examples.length).toBeGreaterThanOrEqual(8);
    for (const beginning of ["ks1:", "keystead-master-v1:", "1-euxhqx."])
      expect(quoted.some((text) => text.startsWith(beginning))).toBe(true);
  });

  it("shows an audit line as it was written", () => {
    const lines = auditFile.writers.flatMap((writer) => writer.lines);
    expect(lines).toContain(
      blocks("text")
        .find((block) => block.startsWith("{"))
        ?.trim(),
    );
  });

  it("lists the columns of every table in the order of the row MAC", () => {
    const listed = [...page.matchAll(/^\| `(\w+)` +\| ((?:\w+ [tib]\??(?:, )?)+) *\|$/gm)].map(([, table, columns]) => [
      table,
      columns?.trim(),
    ]);
    const expected = [manifestTable, ...Object.values(tables).map((table) => layoutOf(table))].map(({ name, columns }) => [
      name,
      columns.map(({ sqlName, kind, nullable }) => `${sqlName} ${kind.letter}${nullable ? "?" : ""}`).join(", "),
    ]);
    expect(new Map(listed.map(([table, columns]) => [table, columns]))).toEqual(
      new Map(expected.map(([table, columns]) => [table, columns])),
    );
  });
});
