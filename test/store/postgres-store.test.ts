import { randomUUID } from "node:crypto";
import { describe, inject, it } from "vitest";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { exactIntegers } from "../../src/postgres/value-parsers.ts";
import type { SqlSchema } from "../../src/store/sql/sql-database.ts";
import { openPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import { testStore, type StorePlace } from "../../src/testing/store.ts";

/** A store in a schema of its own. */
async function newPostgresPlace(): Promise<StorePlace> {
  const schema = `test_${randomUUID().replaceAll("-", "")}`;
  const database = `${inject("postgres")}postgres`;
  const url = `${database}?schema=${schema}`;
  const store = await openPostgresStore(url, {});
  const pool = new pg.Pool({ connectionString: database, max: 2, types: exactIntegers, options: `-c search_path=${schema}` });
  const sql = new Kysely<SqlSchema>({ dialect: new PostgresDialect({ pool }) });
  return {
    store,
    connect: async () => await openPostgresStore(url, {}),
    sql,
    dispose: async () => {
      await pool.query(`drop schema if exists ${schema} cascade`);
      await pool.end();
    },
  };
}

testStore({ name: "PostgreSQL", describe, it, open: newPostgresPlace });
