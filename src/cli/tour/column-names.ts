const longestName = 50;
const longestLogicalName = 60;

/** A column by its name in the database and in the dataset. */
export interface NamedColumn {
  readonly name: string;
  readonly logical: string;
}

/**
 * Names for the columns of a header, each unique: what the header says as far as a database and a context template can spell
 * it, and a name of the dataset's grammar (a letter, then letters, digits, `_`) made of its Latin letters and digits.
 *
 * @returns in the order of the header; `Größe in cm` becomes `Größe in cm` and `grosse_in_cm`, the third `???` becomes `column_3`
 */
export function nameColumns(header: readonly string[]): NamedColumn[] {
  const takenNames = new Set<string>();
  const takenLogical = new Set<string>();
  return header.map((text, position) => {
    const fallback = `column_${position + 1}`;
    const name = unique(physicalName(text) || fallback, takenNames, (stem, count) => `${stem} (${count})`);
    const logical = unique(logicalName(text) || fallback, takenLogical, (stem, count) => `${stem}_${count}`);
    return { name, logical };
  });
}

/** A name that no column has yet, for a column that is added. */
export function freeName(wanted: string, columns: readonly NamedColumn[]): string {
  return unique(wanted, new Set(columns.map(({ name }) => fold(name))), (stem, count) => `${stem}_${count}`);
}

/** Control characters are no names, braces are placeholders in context templates, `__proto__` means something else to JavaScript. */
function physicalName(text: string): string {
  const tidy = text
    .normalize("NFC")
    .replace(/\p{Cc}+/gu, " ")
    .replaceAll("{", "(")
    .replaceAll("}", ")")
    .trim();
  const name = Array.from(tidy).slice(0, longestName).join("").trim();
  return name === "__proto__" ? "proto" : name;
}

function logicalName(text: string): string {
  const letters = text
    .replaceAll("ß", "ss")
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .replace(/[^A-Za-z0-9]+/g, "_")
    .replace(/^[_0-9]+|_+$/g, "");
  return letters.slice(0, longestLogicalName).toLowerCase();
}

/** SQLite does not tell names apart by case; Keystead neither, beyond ASCII. */
function fold(name: string): string {
  return name.toLowerCase();
}

function unique(stem: string, taken: Set<string>, numbered: (stem: string, count: number) => string): string {
  let name = stem;
  for (let count = 2; taken.has(fold(name)); count += 1) name = numbered(stem, count);
  taken.add(fold(name));
  return name;
}
