import { randomUUID } from "node:crypto";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { inject } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { exactIntegers } from "../../src/postgres/value-parsers.ts";
import type { SqlSchema } from "../../src/store/sql/sql-database.ts";
import { openPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import type { StorePlace } from "../../src/testing/store.ts";

/** A place in PostgreSQL. */
export interface PostgresPlace extends StorePlace {
  readonly url: string;
  readonly schema: string;
  /** SQL behind the store's back, in its schema. */
  readonly run: (text: string) => Promise<void>;
}

/** A store in a schema of its own. */
export async function newPostgresPlace(): Promise<PostgresPlace> {
  const schema = `test_${randomUUID().replaceAll("-", "")}`;
  const database = `${inject("postgres")}postgres`;
  const url = `${database}?schema=${schema}`;
  const store = await openPostgresStore(url, { clock: systemClock });
  const pool = new pg.Pool({ connectionString: database, max: 2, types: exactIntegers, options: `-c search_path=${schema}` });
  const sql = new Kysely<SqlSchema>({ dialect: new PostgresDialect({ pool }) });
  return {
    store,
    connect: async () => await openPostgresStore(url, { clock: systemClock }),
    sql,
    url,
    schema,
    run: async (text) => {
      await pool.query(text);
    },
    dispose: async () => {
      await pool.query(`drop schema if exists ${schema} cascade`);
      await pool.end();
    },
  };
}
