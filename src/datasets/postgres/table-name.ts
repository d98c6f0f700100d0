import { KeysteadError } from "../../errors.ts";
import { quoteIdentifier } from "../../postgres/identifier.ts";
import { joinName, splitName } from "./dotted-name.ts";

/** A table, by schema and name as the database spells them. */
export interface TableName {
  readonly schema: string;
  readonly table: string;
}

/** Where a table is that is named without a schema, whatever `search_path` the URL's user has. */
const defaultSchema = "public";

/**
 * Reads the name of a table in a layout: `table` in schema `public`, or `schema.table`. Each part is as the database spells it, with
 * its capitals. Only a part that has a dot, or begins with a double quote, stands in double quotes, those in it doubled. So each
 * table has one name, and no two datasets share a column unnoticed.
 * @throws KeysteadError `DATASET_UNSUITABLE` for another spelling, naming the right one
 */
export function parseTableName(text: string): TableName {
  const parts = splitName(text) ?? [];
  const [first, second] = parts;
  if (first === undefined || parts.length > 2) {
    throw new KeysteadError(
      "DATASET_UNSUITABLE",
      `table ${JSON.stringify(text)} is no table's name: it is written table or schema.table; a part with a dot in it stands in double quotes`,
    );
  }
  const name = second === undefined ? { schema: defaultSchema, table: first } : { schema: first, table: second };
  const canonical = formatTableName(name);
  if (canonical === text) return name;
  throw new KeysteadError("DATASET_UNSUITABLE", `table ${text} has another name here: write ${canonical}`);
}

/** The one text of which {@link parseTableName} makes the name. */
export function formatTableName({ schema, table }: TableName): string {
  return joinName(schema === defaultSchema ? [table] : [schema, table]);
}

/** The table as SQL takes it. */
export function quoteTable({ schema, table }: TableName): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;
}
