import { tables, type NewRecord, type TableName } from "../../src/store/tables.ts";
import { layoutOf } from "../../src/store/sql/table-layout.ts";

/** JSON of an object whose lists have one entry on each line, so that files can be read and compared. */
export function formatJson(content: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(content).map(([name, value]) => `${JSON.stringify(name)}: ${formatPart(value)}`);
  return `{\n${parts.join(",\n")}\n}\n`;
}

function formatPart(value: unknown): string {
  if (!Array.isArray(value) || value.length === 0) return JSON.stringify(value);
  return `[\n${value.map((entry) => JSON.stringify(entry)).join(",\n")}\n]`;
}

/** Lower-case hexadecimal. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

/** Rows by the names that their columns have in the database; bytes as hexadecimal. */
export function databaseRows<N extends TableName>(table: N, rows: readonly NewRecord<N>[]): Record<string, unknown>[] {
  const { columns } = layoutOf(tables[table]);
  return rows.map((row) => {
    const values = new Map<string, unknown>(Object.entries(row));
    return Object.fromEntries(
      columns.map(({ property, sqlName }) => {
        const value = values.get(property);
        return [sqlName, value instanceof Uint8Array ? hex(value) : value];
      }),
    );
  });
}
