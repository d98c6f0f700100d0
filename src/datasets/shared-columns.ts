import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import { type Dataset, layoutOf, listDatasets } from "./dataset-records.ts";
import type { DatasetDefinition } from "./definition.ts";

/** What a dataset does with a column. */
interface ColumnUse {
  readonly column: string;
  readonly verb: "protects" | "fills" | "identifies rows by";
}

/**
 * Refuses a definition that shares a column with another dataset on the same table, unless both only identify rows by it: two
 * jobs would undo each other's work, and what is bound to a column would not open once that is ciphertext. A database is known
 * by its name in the local configuration.
 * @throws KeysteadError `DATASET_UNSUITABLE` naming the column, the other dataset and the remedy
 */
export async function refuseSharedColumns(tables: StoreTables, { name, definition }: Pick<Dataset, "name" | "definition">): Promise<void> {
  const own = columnUses(definition);
  for (const other of await listDatasets(tables)) {
    if (other.name === name || !isSameTable(definition, other.definition)) continue;
    for (const use of columnUses(other.definition)) {
      if (!own.some((mine) => isSameColumn(mine, use) || isInside(mine, use) || isInside(use, mine))) continue;
      const { column, verb } = use;
      throw new KeysteadError(
        "DATASET_UNSUITABLE",
        `dataset ${other.name} ${verb} column ${column} of table ${definition.table} already: ` +
          `work with that dataset (\`keystead datasets show ${other.name}\`), or name another column`,
      );
    }
  }
}

/** Where names that differ in letter case alone are different tables, nobody needs both of them protected. */
function isSameTable(a: DatasetDefinition, b: DatasetDefinition): boolean {
  return a.database === b.database && a.table.toLowerCase() === b.table.toLowerCase();
}

function isSameColumn(a: ColumnUse, b: ColumnUse): boolean {
  return a.column.toLowerCase() === b.column.toLowerCase() && (a.verb !== "identifies rows by" || b.verb !== "identifies rows by");
}

/** A value in a document is named as the column, or the part of it, that it is in, a dot, and its key. */
function isInside(inner: ColumnUse, outer: ColumnUse): boolean {
  return inner.verb === "protects" && inner.column.toLowerCase().startsWith(`${outer.column.toLowerCase()}.`);
}

function columnUses(definition: DatasetDefinition): ColumnUse[] {
  const { keyColumns, valueColumns, contextColumns, indexColumns, plaintextColumns = [] } = layoutOf(definition);
  const uses = (columns: readonly string[], verb: ColumnUse["verb"]): ColumnUse[] => columns.map((column) => ({ column, verb }));
  return [
    ...uses([...keyColumns, ...contextColumns], "identifies rows by"),
    ...uses([...valueColumns, ...plaintextColumns], "protects"),
    ...uses(indexColumns, "fills"),
  ];
}
