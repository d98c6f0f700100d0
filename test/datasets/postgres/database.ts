import pg from "pg";
import { decodeUtf8 } from "../../../src/crypto/text.ts";
import { PostgresSourceProvider } from "../../../src/datasets/postgres/postgres-source-provider.ts";
import { KeysteadError } from "../../../src/errors.ts";
import type { Cell, DatasetSource, SourceLayout } from "../../../src/datasets/source.ts";
import type { TestRow, TestTable } from "../../../src/testing/dataset-source.ts";
import { createTestDatabase, type TestDatabase } from "../../support/postgres-database.ts";

/** What an application's driver says of a value: its type, and the text or bytes of it. */
type Reading = (text: string) => Cell;

const { builtins } = pg.types;
const readings: ReadonlyMap<number, Reading> = new Map<number, Reading>([
  [builtins.INT2, (text) => ({ type: "integer", value: BigInt(text) })],
  [builtins.INT4, (text) => ({ type: "integer", value: BigInt(text) })],
  [builtins.INT8, (text) => ({ type: "integer", value: BigInt(text) })],
  [builtins.BOOL, (text) => ({ type: "integer", value: text === "t" ? 1n : 0n })],
  [builtins.FLOAT4, (text) => ({ type: "real", value: Number(text) })],
  [builtins.FLOAT8, (text) => ({ type: "real", value: Number(text) })],
  [builtins.BYTEA, (text) => ({ type: "blob", bytes: Buffer.from(text.slice(2), "hex") })],
]);
const asCells = {
  getTypeParser:
    (type: number) =>
    (text: string): Cell =>
      (readings.get(type) ?? ((value: string): Cell => ({ type: "text", bytes: Buffer.from(value) })))(text),
};

/** A layout that has only what is named. */
export function layoutOf(table: string, columns: Partial<Omit<SourceLayout, "table">>): SourceLayout {
  return { table, keyColumns: ["id"], valueColumns: [], contextColumns: [], indexColumns: [], ...columns };
}

export function openSource(url: string, layout: SourceLayout): Promise<DatasetSource> {
  return new PostgresSourceProvider("postgresql").open(url, layout);
}

/** Tables of one database, one after another, each with what an application does to it. */
export class TestTables {
  readonly #database: TestDatabase;
  readonly #pool: pg.Pool;

  private constructor(database: TestDatabase) {
    this.#database = database;
    this.#pool = new pg.Pool({ connectionString: database.url, max: 2, options: "-c timezone=UTC" });
    // A connection may still be closing when the database is dropped.
    this.#pool.on("error", () => undefined);
  }

  static async create(): Promise<TestTables> {
    return new TestTables(await createTestDatabase());
  }

  get url(): string {
    return this.#database.url;
  }

  /** Runs SQL as the superuser. */
  async query(sql: string, parameters: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    return await this.#database.query(sql, parameters);
  }

  /** Makes a table by some SQL. `from` is its name in SQL; its schema is made anew each time. */
  async createTable(
    sql: string,
    layout: SourceLayout,
    from = quote(layout.table),
    setup = "",
  ): Promise<TestTable & { readonly url: string }> {
    await this.query(`drop schema if exists crm cascade; drop schema public cascade; create schema public; ${setup}; ${sql}`);
    const columns = [...new Set([...layout.keyColumns, ...layout.valueColumns, ...layout.contextColumns, ...layout.indexColumns])];
    const run = async (text: string, values: readonly unknown[] = []): Promise<Record<string, Cell | null>[]> =>
      (await this.#pool.query<Record<string, Cell | null>>({ text, values: [...values], types: asCells })).rows;
    return {
      url: this.url,
      openSource: (other) => openSource(this.url, other),
      insert: async (rows) => {
        for (const row of rows) {
          const names = Object.keys(row).map(quote).join(", ");
          const places = Object.keys(row).map((_, index) => `$${String(index + 1)}`);
          await run(`insert into ${from} (${names}) values (${places.join(", ")})`, Object.values(row).map(bind));
        }
      },
      update: async (key, set) => {
        const assignments = list(set, " = ", 1);
        const where = list(key, " = ", Object.keys(set).length + 1);
        await run(
          `update ${from} set ${assignments.join(", ")} where ${where.join(" and ")}`,
          [...Object.values(set), ...Object.values(key)].map(bind),
        );
      },
      remove: async (key) => {
        await run(`delete from ${from} where ${list(key, " = ", 1).join(" and ")}`, Object.values(key).map(bind));
      },
      read: async () => {
        const rows = await run(`select ${columns.map(quote).join(", ")} from ${from}`);
        return rows.map((row): TestRow => Object.fromEntries(columns.map((name): [string, Cell] => [name, row[name] ?? { type: "null" }])));
      },
      drop: async () => {
        await this.query("drop schema if exists crm cascade");
      },
    };
  }

  async dispose(): Promise<void> {
    await this.#pool.end();
    await this.#database.dispose();
  }
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function list(row: TestRow, operator: string, first: number): string[] {
  return Object.keys(row).map((name, index) => `${quote(name)}${operator}$${String(first + index)}`);
}

function bind(cell: Cell): unknown {
  if (cell.type === "null") return null;
  if (cell.type === "text") return decodeUtf8(cell.bytes);
  return cell.type === "blob" ? Buffer.from(cell.bytes) : Object.is(cell.value, -0) ? "-0" : String(cell.value);
}

/** Code and message of the KeysteadError that `work` fails with. */
export async function failureOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KeysteadError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no error";
}
