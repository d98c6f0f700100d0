import type { KeyObject } from "node:crypto";
import { CompiledQuery } from "kysely";
import { isKeysteadError } from "../../errors.ts";
import type { TamperFinding } from "../store.ts";
import type { TableDefinitions } from "../tables.ts";
import { checkManifest, manifestTable, type Manifest } from "./manifest.ts";
import { verifyRowMac } from "./row-mac.ts";
import { checkRow, rowName, type RowCheck, type SqlRow } from "./row.ts";
import type { Sql, SqlDatabase } from "./sql-database.ts";
import { guardedLayouts } from "./sql-tables.ts";
import { layoutOf, rowMacColumn, type ColumnValues, type TableLayout } from "./table-layout.ts";
import { TableSums } from "./table-sums.ts";

/** How often a misplaced row's content is tried on another row's key, at most. */
const maxTrials = 10_000;

type CheckedRow = RowCheck & { readonly stored: SqlRow };

/**
 * Checks the structure, every guarded row and the manifest, all in the snapshot that `sql` reads.
 *
 * One thing fits nevertheless: the whole database put back to an earlier state, manifest included. The caller finds that by
 * comparing the generation with one that is kept elsewhere, as audit checkpoints do.
 *
 * @param build - Makes the structure that is expected, in an empty database.
 */
export async function verifyStore(
  sql: Sql,
  key: KeyObject,
  database: SqlDatabase,
  definitions: TableDefinitions,
  build: (scratch: SqlDatabase) => Promise<void>,
): Promise<TamperFinding[]> {
  const guarded = guardedLayouts(definitions);
  const findings = await database.inspect(sql, {
    tables: [manifestTable, ...Object.values(definitions).map(layoutOf)],
    guarded: [manifestTable, ...guarded].map(({ name }) => name),
    build,
  });
  const damaged = new Set(findings.map(({ table }) => table));
  const manifest = await unlessDamaged(sql, damaged, manifestTable, async () => await checkManifest(sql, key));
  if (typeof manifest === "string") findings.push({ table: manifestTable.name, problem: manifest });
  if (typeof manifest === "object") findings.push(...checkSchema(manifest, await database.readSchemaVersion(sql)));
  for (const table of guarded) {
    const rows = await unlessDamaged(sql, damaged, table, async () => await readRows(sql, key, table));
    if (rows === undefined) continue;
    const misfits = rows.filter(({ problem }) => problem !== undefined);
    findings.push(...describeMisfits(key, table, rows, misfits));
    if (typeof manifest === "object") findings.push(...compareSums(manifest, table, rows, misfits.length));
  }
  return findings;
}

/** A table whose structure was found damaged already may be impossible to read; of any other that is a failure. */
async function unlessDamaged<T>(
  sql: Sql,
  damaged: ReadonlySet<string>,
  table: TableLayout,
  work: () => Promise<T>,
): Promise<T | undefined> {
  if (!damaged.has(table.name)) return await work();
  const run = async (statement: string): Promise<unknown> => await sql.executeQuery(CompiledQuery.raw(statement));
  await run("savepoint damaged");
  try {
    return await work();
  } catch (error) {
    if (!isKeysteadError(error, "STORE_FAILED")) throw error;
    await run("rollback to savepoint damaged");
    return undefined;
  } finally {
    await run("release savepoint damaged");
  }
}

function checkSchema(manifest: Manifest, schema: number): TamperFinding[] {
  return manifest.schema > schema ? [{ table: manifestTable.name, problem: "the database's schema number was lowered" }] : [];
}

async function readRows(sql: Sql, key: KeyObject, table: TableLayout): Promise<CheckedRow[]> {
  let query = sql.selectFrom(table.name).select(table.sqlNames);
  for (const column of table.key) query = query.orderBy(column.sqlName);
  const rows: SqlRow[] = await query.execute();
  return rows.map((stored) => ({ stored, ...checkRow(key, table, stored) }));
}

function describeMisfits(key: KeyObject, table: TableLayout, rows: readonly CheckedRow[], misfits: readonly CheckedRow[]): TamperFinding[] {
  let trials = maxTrials;
  return misfits.map((misfit) => {
    const candidates = rows.slice(0, trials);
    trials -= candidates.length;
    const origin = candidates.find((candidate) => candidate !== misfit && holdsContentOf(key, table, misfit, candidate));
    const problem =
      origin === undefined ? (misfit.problem ?? "") : `it holds the content of another row (${rowName(table, origin.stored)})`;
    return { table: table.name, row: rowName(table, misfit.stored), problem };
  });
}

/** True when the misfit's MAC fits as soon as it carries the other row's primary key: they were swapped, or one was copied. */
function holdsContentOf(key: KeyObject, table: TableLayout, misfit: CheckedRow, other: CheckedRow): boolean {
  if (misfit.row === undefined || other.row === undefined) return false;
  const otherKey: ColumnValues = Object.fromEntries(table.key.map(({ property }) => [property, other.row?.values[property] ?? null]));
  return verifyRowMac(key, table, { ...misfit.row, values: { ...misfit.row.values, ...otherKey } }, misfit.row.mac);
}

function compareSums(manifest: Manifest, table: TableLayout, rows: readonly CheckedRow[], misfits: number): TamperFinding[] {
  const found = new TableSums();
  for (const { stored } of rows) {
    const mac = stored[rowMacColumn];
    if (mac instanceof Uint8Array && mac.length > 0) found.add(table.name, mac);
  }
  const expected = manifest.sums.of(table.name);
  const missing = expected.rows - rows.length;
  if (missing === 0 && found.of(table.name).sum === expected.sum) return [];
  return [{ table: table.name, problem: describeSums(missing, misfits) }];
}

function describeSums(missing: number, misfits: number): string {
  if (missing === 1) return "1 of its rows was deleted";
  if (missing > 1) return `${missing} of its rows were deleted`;
  if (missing < 0) return `it has ${-missing} ${missing === -1 ? "row" : "rows"} too many: removed ones were added back`;
  return misfits > 0 ? "its rows do not add up to the manifest's sum" : "a row was replayed: it is as it was at an earlier time";
}
