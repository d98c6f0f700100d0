import { KeysteadError } from "../../errors.ts";
import { quoteIdentifier } from "../../postgres/identifier.ts";
import type { SourceLayout } from "../source.ts";
import type { Session } from "./postgres-connection.ts";
import type { TableFacts } from "./table-facts.ts";
import { quoteTable, type TableName } from "./table-name.ts";
import { leastSealedLength, sufficientSealedLength } from "./text-length.ts";

/**
 * Compares the declared lengths of value columns with what the ciphertext of their longest value needs.
 * @returns advice on columns that may be too short
 * @throws KeysteadError `DATASET_UNSUITABLE` for a column that is
 */
export async function checkValueLengths(
  session: Session,
  layout: SourceLayout,
  name: TableName,
  { columns }: TableFacts,
): Promise<string[]> {
  const limited = columns.flatMap(({ name: column, maxLength, declaredType }) =>
    maxLength !== null && layout.valueColumns.includes(column) ? [{ column, maxLength, declaredType }] : [],
  );
  if (limited.length === 0) return [];
  const longest = limited.map(({ column }) => {
    const value = `${quoteIdentifier(column)}::pg_catalog.text collate "C"`;
    return `coalesce(max(octet_length(${value})) filter (where not starts_with(${value}, 'ks1:')), 0)`;
  });
  const [row] = await session.rows(`select ${longest.join(", ")} from ${quoteTable(name)}`);
  const advice: string[] = [];
  for (const [index, { column, maxLength, declaredType }] of limited.entries()) {
    const bytes = Number(row?.[index] ?? 0);
    const needed = sufficientSealedLength(bytes);
    if (maxLength >= needed) continue;
    const remedy = `ALTER TABLE ${quoteTable(name)} ALTER COLUMN ${quoteIdentifier(column)} TYPE text`;
    const problem = `column "${column}" is ${declaredType}, and the ciphertext of its longest value (${String(bytes)} bytes) has up to ${String(needed)} characters`;
    if (maxLength < leastSealedLength(bytes))
      throw new KeysteadError("DATASET_UNSUITABLE", `table "${layout.table}": ${problem}: ${remedy}`);
    advice.push(`${problem}, with a long key name: ${remedy}`);
  }
  return advice;
}
