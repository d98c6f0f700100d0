import { CompiledQuery } from "kysely";
import type { TamperFinding } from "../store.ts";
import type { Sql } from "../sql/sql-database.ts";

/** A table, trigger, view or index as SQLite's schema table has it. */
export interface StructurePart {
  readonly type: string;
  readonly name: string;
  readonly table: string;
  readonly definition: string;
}

/** The parts of a database by name. */
export type Structure = ReadonlyMap<string, StructurePart>;

/** Tables that SQLite makes for itself. */
const ownTables = /^sqlite_(sequence|stat[0-9]+)$/;

/** What differs between a database's structure and the expected one. An index that somebody added is no finding. */
export function compareStructure(found: Structure, wanted: Structure): TamperFinding[] {
  const findings: TamperFinding[] = [];
  for (const part of wanted.values()) {
    const definition = found.get(part.name)?.definition;
    if (definition === undefined) findings.push({ table: part.table, problem: `the ${part.type} ${part.name} is missing` });
    else if (definition !== part.definition)
      findings.push({ table: part.table, problem: `the ${part.type} ${part.name} is not as Keystead makes it` });
  }
  for (const part of found.values()) {
    if (wanted.has(part.name) || part.type === "index" || ownTables.test(part.name)) continue;
    findings.push({ table: part.table, problem: `Keystead did not make the ${part.type} ${part.name}` });
  }
  return findings;
}

/** Tables whose pages or indexes are damaged, so that a query could miss a row that is there. */
export async function checkIndexes(sql: Sql, tables: readonly string[]): Promise<TamperFinding[]> {
  const findings: TamperFinding[] = [];
  for (const table of tables) {
    const { rows } = await sql.executeQuery<{ integrity_check: string }>(CompiledQuery.raw(`pragma integrity_check("${table}")`));
    const [first] = rows.map((row) => row.integrity_check);
    if (first !== "ok") findings.push({ table, problem: `its pages, indexes or constraints are damaged (${first ?? "no answer"})` });
  }
  return findings;
}

/** What a database consists of. Indexes that belong to a table's own definition are not parts of their own. */
export async function readStructure(sql: Sql): Promise<Structure> {
  const query = 'select type, name, tbl_name as "table", sql as definition from sqlite_schema where sql is not null order by name';
  const { rows } = await sql.executeQuery<StructurePart>(CompiledQuery.raw(query));
  return new Map(rows.map((row) => [row.name, row]));
}
