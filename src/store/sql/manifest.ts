import type { KeyObject } from "node:crypto";
import type { KeysteadError } from "../../errors.ts";
import type { StoreIdentity } from "../store.ts";
import type { TableDefinition } from "../tables.ts";
import { TableSums } from "./table-sums.ts";
import { tampered } from "../tampered.ts";
import { checkRow, parseRow, sealRow, type SqlRow } from "./row.ts";
import type { Sql, SqlValue } from "./sql-database.ts";
import { layoutOf, rowVersionColumn, toSql, type ColumnValues } from "./table-layout.ts";

/**
 * The manifest's one row. It is MACed like any other row, under the table name `manifest`.
 *
 * `sum`: of all row MACs in the other guarded tables, modulo 2^256, big-endian. `tables`: the same for each table
 * with its number of rows, so that a finding can name the table. `schema`: number of the last migration step that the
 * program knew which wrote the manifest last.
 */
export const manifestTable = layoutOf({
  name: "manifest",
  guard: "followed",
  key: ["storeId"],
  unique: [],
  columns: {
    storeId: "text",
    demo: "integer",
    createdAt: "integer",
    schema: "integer",
    generation: "integer",
    revision: "integer",
    sum: "bytes",
    tables: "text",
  },
} satisfies TableDefinition);

const missing = "it is missing, or there is more than one";
const unreadable = "it can't be read";

/** What the manifest says about the store. */
export interface Manifest {
  readonly identity: StoreIdentity;
  readonly schema: number;
  /** Grows with every change of a row that the sums cover. */
  readonly generation: number;
  /** The generation in which a row of a `followed` table changed last. */
  readonly revision: number;
  readonly sums: TableSums;
  readonly rowVersion: number;
}

/** Writes the manifest of a new store, whose generation is `first`. */
export async function insertManifest(sql: Sql, key: KeyObject, identity: StoreIdentity, schema: number, first: number): Promise<void> {
  const manifest: Manifest = { identity, schema, generation: first, revision: first, sums: new TableSums(), rowVersion: 1 };
  await sql.insertInto(manifestTable.name).values(sealManifest(key, manifest)).execute();
}

/** Replaces the manifest by its successor. Both belong to the same transaction. */
export async function updateManifest(sql: Sql, key: KeyObject, manifest: Manifest): Promise<void> {
  const next = { ...manifest, rowVersion: manifest.rowVersion + 1 };
  await sql.updateTable(manifestTable.name).set(sealManifest(key, next)).where(rowVersionColumn, "=", toSql(manifest.rowVersion)).execute();
}

/**
 * The manifest, checked.
 * @throws KeysteadError `STORE_TAMPERED`
 */
export async function loadManifest(sql: Sql, key: KeyObject): Promise<Manifest> {
  const manifest = await checkManifest(sql, key);
  if (typeof manifest === "string") throw manifestTampered(manifest);
  return manifest;
}

/** The manifest, or what is wrong with it. */
export async function checkManifest(sql: Sql, key: KeyObject): Promise<Manifest | string> {
  const row = await readManifestRow(sql);
  if (row === undefined) return missing;
  const { row: opened, problem } = checkRow(key, manifestTable, row);
  if (opened === undefined || problem !== undefined) return problem ?? unreadable;
  return parseManifest(opened.values, opened.rowVersion) ?? unreadable;
}

/**
 * Who the store says it is, before there is a key to check it with.
 * @throws KeysteadError `STORE_TAMPERED` when it can't even be read.
 */
export async function readIdentity(sql: Sql): Promise<StoreIdentity> {
  const row = await readManifestRow(sql);
  const parsed = row === undefined ? undefined : parseRow(manifestTable, row);
  const manifest = parsed === undefined || typeof parsed === "string" ? undefined : parseManifest(parsed.values, parsed.rowVersion);
  if (manifest === undefined) throw manifestTampered(row === undefined ? missing : unreadable);
  return manifest.identity;
}

async function readManifestRow(sql: Sql): Promise<SqlRow | undefined> {
  const rows = await sql.selectFrom(manifestTable.name).select(manifestTable.sqlNames).limit(2).execute();
  return rows.length === 1 ? rows[0] : undefined;
}

function sealManifest(key: KeyObject, manifest: Manifest): Record<string, SqlValue> {
  const values = {
    storeId: manifest.identity.id,
    demo: manifest.identity.demo ? 1 : 0,
    createdAt: manifest.identity.createdAt,
    schema: manifest.schema,
    generation: manifest.generation,
    revision: manifest.revision,
    sum: manifest.sums.total(),
    tables: manifest.sums.format(),
  };
  return sealRow(key, manifestTable, values, manifest.rowVersion).columns;
}

function parseManifest(values: ColumnValues, rowVersion: number): Manifest | undefined {
  const { storeId, demo, createdAt, schema, generation, revision, sum, tables } = values;
  if (typeof storeId !== "string" || typeof createdAt !== "number" || typeof schema !== "number") return undefined;
  if (typeof generation !== "number" || typeof revision !== "number") return undefined;
  const sums = typeof tables === "string" ? TableSums.parse(tables) : undefined;
  if (sums === undefined || !(sum instanceof Uint8Array) || !sums.total().equals(sum)) return undefined;
  return { identity: { id: storeId, demo: demo !== 0, createdAt }, schema, generation, revision, sums, rowVersion };
}

function manifestTampered(problem: string): KeysteadError {
  return tampered([{ table: manifestTable.name, problem }]);
}
