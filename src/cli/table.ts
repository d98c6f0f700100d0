import { styleText } from "node:util";

/** How a column of a table is shown. */
export interface TableColumn<T> {
  readonly title: string;
  readonly cell: (row: T) => string | number | undefined;
}

/** Control characters and characters that change the direction of text: they could rewrite what a terminal shows. */
const unsafe = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
const wide = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff01-\uff60\p{Emoji_Presentation}]/u;
const zeroWidth = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** Text that does nothing to a terminal but show itself. */
export function printable(text: string): string {
  return text.replace(unsafe, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Columns that a text takes on a terminal. */
export function textWidth(text: string): number {
  let width = 0;
  for (const character of text) width += zeroWidth.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return width;
}

/** A number with separators between thousands. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** A table with aligned columns; numbers to the right. The header stands out where `stream` is a terminal. Ends with a newline. */
export function formatTable<T>(
  rows: readonly T[],
  columns: readonly TableColumn<T>[],
  stream: NodeJS.WriteStream = process.stdout,
): string {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row) ?? ""));
  const right = columns.map((_, at) => cells.length > 0 && cells.every((row) => typeof row[at] === "number"));
  const texts = cells.map((row) => row.map((cell) => (typeof cell === "number" ? formatCount(cell) : printable(cell))));
  const titles = columns.map(({ title }) => title.toUpperCase());
  const widths = titles.map((title, at) => Math.max(title.length, ...texts.map((row) => textWidth(row[at] ?? ""))));
  const line = (row: readonly string[]): string =>
    row
      .map((text, at) => {
        const padding = " ".repeat((widths[at] ?? 0) - textWidth(text));
        return right[at] === true ? padding + text : text + padding;
      })
      .join("  ")
      .trimEnd();
  return `${[styleText("bold", line(titles), { stream }), ...texts.map(line)].join("\n")}\n`;
}

/** Facts one below the other, values aligned. Facts without a value are left out. Ends with a newline. */
export function formatFacts(facts: Readonly<Record<string, string | number | undefined>>): string {
  const known = Object.entries(facts).filter(([, value]) => value !== undefined && value !== "");
  const width = Math.max(0, ...known.map(([name]) => textWidth(name)));
  return known
    .map(
      ([name, value]) =>
        `${name}${" ".repeat(width - textWidth(name))}  ${typeof value === "number" ? formatCount(value) : printable(value ?? "")}\n`,
    )
    .join("");
}
