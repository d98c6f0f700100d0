import { decodeUtf8 } from "../../../src/crypto/text.ts";
import type { Cell, SourceLayout } from "../../../src/datasets/source.ts";
import type { TestRow, TestTable } from "../../../src/testing/dataset-source.ts";
import { layoutOf, openSource, type TestTables } from "./database.ts";

const nothing: Cell = { type: "null" };

/** A table in which a value column of the layout is the key `phone` of the documents in column `profile`. */
export async function createDocumentTable(tables: TestTables, type: "json" | "jsonb", layout: SourceLayout): Promise<TestTable> {
  const own = layoutOf("person", { contextColumns: [...layout.contextColumns, "profile"], indexColumns: layout.indexColumns });
  const [path = ""] = layout.valueColumns;
  const columns = [...layout.contextColumns, ...layout.indexColumns].map((name) => `"${name}" text`);
  const table = await tables.createTable(`create table person(id int primary key, profile ${type}, ${columns.join(", ")})`, own);
  const inside = (row: TestRow, document: (value: string) => string): TestRow => {
    const { [path]: cell, ...others } = row;
    return cell === undefined ? row : { ...others, profile: textCell(document(jsonOf(cell))) };
  };
  return {
    openSource: (other) => openSource(tables.url, other),
    insert: (rows) => table.insert(rows.map((row) => inside(row, (value) => `{"size": 1.50, "phone": ${value}, "tags": ["ks1:a", null]}`))),
    update: (key, set) =>
      table.update(
        key,
        inside(set, (value) => `{"size": 2, "phone": ${value}}`),
      ),
    remove: (key) => table.remove(key),
    read: async () => (await table.read()).map(({ profile = nothing, ...others }) => ({ ...others, [path]: cellOf(profile) })),
    drop: () => table.drop(),
  };
}

function cellOf(document: Cell): Cell {
  const parsed: unknown = JSON.parse("bytes" in document ? (decodeUtf8(document.bytes) ?? "") : "null");
  const value: unknown = typeof parsed === "object" && parsed !== null ? Reflect.get(parsed, "phone") : undefined;
  if (value === undefined || value === null) return nothing;
  if (typeof value === "string") return textCell(value);
  return Number.isInteger(value)
    ? { type: "integer", value: BigInt(Number(value)) }
    : { type: "blob", bytes: Buffer.from(JSON.stringify(value)) };
}

function jsonOf(cell: Cell): string {
  if (cell.type === "null") return "null";
  if (cell.type === "text") return JSON.stringify(decodeUtf8(cell.bytes));
  return cell.type === "blob" ? Buffer.from(cell.bytes).toString() : String(cell.value);
}

function textCell(text: string): Cell {
  return { type: "text", bytes: Buffer.from(text) };
}
