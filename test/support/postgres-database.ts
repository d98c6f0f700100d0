import { randomUUID } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";

/** An empty database on the shared server; gone when the test disposes of it. */
export interface TestDatabase {
  readonly url: string;
  /** Runs SQL in it, as the superuser. */
  query(sql: string, parameters?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  dispose(): Promise<void>;
}

export async function createTestDatabase(): Promise<TestDatabase> {
  const server = inject("postgres");
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await runOnce(`${server}postgres`, `create database ${name}`);
  const url = `${server}${name}`;
  const pool = new pg.Pool({ connectionString: url, max: 2, allowExitOnIdle: true });
  // A connection may still be closing when the database is dropped.
  pool.on("error", () => undefined);
  return {
    url,
    query: async (sql, parameters = []) => (await pool.query<Record<string, unknown>>(sql, [...parameters])).rows,
    dispose: async () => {
      await pool.end();
      await runOnce(`${server}postgres`, `drop database ${name} with (force)`);
    },
  };
}

async function runOnce(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
