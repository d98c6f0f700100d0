import { KeysteadError } from "../../errors.ts";
import { quoteIdentifier } from "../../postgres/identifier.ts";
import type { SourceLayout } from "../source.ts";
import type { Session } from "./postgres-connection.ts";
import type { TableFacts } from "./table-facts.ts";
import { quoteTable, type TableName } from "./table-name.ts";
import { sufficientSealedLength } from "./text-length.ts";

/**
 * Compares the declared lengths of value columns with what the ciphertext of their longest plaintext needs. A column that holds nothing but
 * ciphertext needs nothing.
 * @throws KeysteadError `DATASET_UNSUITABLE` for a column that is too short
 */
export async function checkValueLengths(session: Session, layout: SourceLayout, name: TableName, { columns }: TableFacts): Promise<void> {
  const limited = columns.flatMap(({ name: column, maxLength, declaredType }) =>
    maxLength !== null && layout.valueColumns.includes(column) ? [{ column, maxLength, declaredType }] : [],
  );
  if (limited.length === 0) return;
  const longest = limited.map(({ column }) => {
    const value = `${quoteIdentifier(column)}::pg_catalog.text collate "C"`;
    const isSealed = `starts_with(${value}, 'ks1:')`;
    return `coalesce(max(octet_length(${value})) filter (where not ${isSealed}), case when bool_or(${isSealed}) then null else 0 end)`;
  });
  const [row = []] = await session.rows(`select ${longest.join(", ")} from ${quoteTable(name)}`);
  for (const [index, { column, maxLength, declaredType }] of limited.entries()) {
    const bytes = row[index] ?? null;
    if (bytes === null) continue;
    const needed = sufficientSealedLength(Number(bytes), layout.keyNameLengths?.[column]);
    if (maxLength >= needed) continue;
    throw new KeysteadError(
      "DATASET_UNSUITABLE",
      `table "${layout.table}": column "${column}" is ${declaredType}, and the ciphertext of its longest value (${bytes} bytes) has up to ${String(needed)} characters: ` +
        `ALTER TABLE ${quoteTable(name)} ALTER COLUMN ${quoteIdentifier(column)} TYPE text`,
    );
  }
}
