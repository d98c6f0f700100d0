import { sql as expression, type CreateTableBuilder, type RawBuilder } from "kysely";
import type { Sql, SqlDatabase } from "../sql-database.ts";

type FirstColumnType = "text" | "text?" | "integer" | "integer?" | "bytes" | "bytes?";

interface FirstTable {
  readonly name: string;
  /** Rows carry `row_format` and `row_mac`. */
  readonly guarded: boolean;
  readonly columns: Readonly<Record<string, FirstColumnType>>;
  readonly key: readonly string[];
  readonly unique?: readonly string[];
  /** Conditions by name. */
  readonly checks?: Readonly<Record<string, string>>;
}

const states = ["pre-active", "active", "suspended", "deactivated", "compromised", "destroyed"].map((state) => `'${state}'`).join(", ");

/** The tables of schema 1, written out: this list stays as it is when `tables.ts` grows. */
const firstTables: readonly FirstTable[] = [
  {
    name: "manifest",
    guarded: true,
    columns: {
      store_id: "text",
      demo: "integer",
      created_at: "integer",
      schema: "integer",
      generation: "integer",
      revision: "integer",
      sum: "bytes",
      tables: "text",
    },
    key: ["store_id"],
    checks: {
      demo: "demo in (0, 1)",
      schema: "schema >= 1",
      generation: "generation >= 1",
      revision: "revision >= 1",
      sum: "length(sum) = 32",
    },
  },
  {
    name: "keks",
    guarded: true,
    columns: { uri: "text", kek_id: "text", derivation: "text?", created_at: "integer" },
    key: ["uri"],
  },
  {
    name: "wraps",
    guarded: true,
    columns: { subject: "text", kek_uri: "text", kek_id: "text", wrapped: "bytes", created_at: "integer" },
    key: ["subject", "kek_uri"],
  },
  {
    name: "keys",
    guarded: true,
    columns: {
      id: "text",
      name: "text",
      purpose: "text",
      usages: "text",
      algorithm: "text",
      tags: "text",
      rotation_days: "integer?",
      current_version: "integer?",
      created_at: "integer",
    },
    key: ["id"],
    unique: ["name"],
  },
  {
    name: "versions",
    guarded: true,
    columns: {
      key_id: "text",
      version: "integer",
      fingerprint: "text",
      state: "text",
      state_at: "integer",
      state_reason: "text",
      material_format: "text",
      material: "bytes?",
      public_key: "bytes?",
      created_at: "integer",
      activate_at: "integer?",
      current_from: "integer?",
      expires_at: "integer?",
      destroy_at: "integer?",
    },
    key: ["key_id", "version"],
    checks: { version: "version >= 1", state: `state in (${states})` },
  },
  { name: "aliases", guarded: true, columns: { alias: "text", key_id: "text" }, key: ["alias"] },
  {
    name: "purposes",
    guarded: true,
    columns: {
      name: "text",
      description: "text",
      default_key: "text?",
      rotation_days: "integer?",
      algorithms: "text",
      hardware: "integer",
    },
    key: ["name"],
    checks: { hardware: "hardware in (0, 1)" },
  },
  {
    name: "routes",
    guarded: true,
    columns: { id: "text", purpose: "text?", name_prefix: "text?", kek_uri: "text" },
    key: ["id"],
  },
  { name: "settings", guarded: true, columns: { name: "text", value: "text" }, key: ["name"] },
  {
    name: "datasets",
    guarded: true,
    columns: { id: "text", name: "text", definition: "text", created_at: "integer", removed_at: "integer?" },
    key: ["id"],
    unique: ["name"],
  },
  {
    name: "index_generations",
    guarded: true,
    columns: {
      dataset_id: "text",
      index_name: "text",
      generation: "integer",
      column: "text",
      columns: "text",
      kind: "text",
      normaliser: "text",
      normaliser_version: "text",
      unicode_version: "text",
      bits: "integer",
      parameters: "text",
      key_id: "text",
      key_version: "integer",
      state: "text",
      created_at: "integer",
    },
    key: ["dataset_id", "index_name", "generation"],
  },
  {
    name: "censuses",
    guarded: true,
    columns: { id: "text", dataset_id: "text", taken_at: "integer", counts: "text" },
    key: ["id"],
  },
  {
    name: "tombstones",
    guarded: true,
    columns: { key_id: "text", version: "integer", fingerprint: "text", destroyed_at: "integer", certificate: "text" },
    key: ["key_id", "version"],
    checks: { version: "version >= 1" },
  },
  {
    name: "counters",
    guarded: true,
    columns: {
      key_id: "text",
      version: "integer",
      dataset_id: "text",
      seals: "integer",
      opens: "integer",
      refusals: "integer",
      last_opened_at: "integer?",
      last_refused_at: "integer?",
    },
    key: ["key_id", "version", "dataset_id"],
    checks: { version: "version >= 1", counts: "seals >= 0 and opens >= 0 and refusals >= 0" },
  },
  {
    name: "jobs",
    guarded: true,
    columns: {
      id: "text",
      dataset_id: "text",
      kind: "text",
      state: "text",
      progress: "text",
      lease_owner: "text?",
      lease_until: "integer?",
      created_at: "integer",
      updated_at: "integer",
    },
    key: ["id"],
  },
  {
    name: "audit_lines",
    guarded: false,
    columns: { writer: "text", sequence: "integer", line: "bytes" },
    key: ["writer", "sequence"],
  },
  {
    name: "checkpoints",
    guarded: false,
    columns: {
      hash: "text",
      previous: "text",
      taken_at: "integer",
      generation: "integer",
      body: "bytes",
      signature: "bytes",
      signer: "text",
    },
    key: ["hash"],
    unique: ["previous"],
  },
];

/** Migration step 1: makes the tables of a new store. */
export async function createFirstTables(sql: Sql, database: SqlDatabase): Promise<void> {
  for (const table of firstTables) await createTable(sql, database, table);
}

async function createTable(sql: Sql, database: SqlDatabase, table: FirstTable): Promise<void> {
  const columns = Object.entries({ ...table.columns, ...rowColumns(table) });
  const checks = Object.entries({ ...table.checks, ...rowChecks(table) });
  let creation: CreateTableBuilder<string, string> = sql.schema.createTable(table.name);
  for (const [name, type] of columns) {
    creation = creation.addColumn(name, columnType(database, type), (column) => (type.endsWith("?") ? column : column.notNull()));
  }
  creation = creation.addPrimaryKeyConstraint(`${table.name}_key`, [...table.key]);
  for (const name of table.unique ?? []) creation = creation.addUniqueConstraint(`${table.name}_${name}`, [name]);
  for (const [name, check] of checks) creation = creation.addCheckConstraint(`${table.name}_check_${name}`, expression.raw(check));
  await creation.modifyEnd(expression.raw(database.tableOptions)).execute();
}

function rowColumns(table: FirstTable): Readonly<Record<string, FirstColumnType>> {
  return table.guarded ? { row_version: "integer", row_format: "integer", row_mac: "bytes" } : { row_version: "integer" };
}

function rowChecks(table: FirstTable): Readonly<Record<string, string>> {
  const version = { row_version: "row_version >= 1" };
  return table.guarded ? { ...version, row_format: "row_format >= 1", row_mac: "length(row_mac) = 32" } : version;
}

function columnType(database: SqlDatabase, type: FirstColumnType): RawBuilder<unknown> {
  const [name] = type.split("?");
  return expression.raw(name === "text" || name === "integer" || name === "bytes" ? database.columnTypes[name] : type);
}
