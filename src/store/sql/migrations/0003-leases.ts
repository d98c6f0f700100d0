import type { Sql, SqlDatabase } from "../sql-database.ts";
import { createTable } from "./written-table.ts";

/** Migration step 3: makes the table of leased prefixes. */
export async function createLeases(sql: Sql, database: SqlDatabase): Promise<void> {
  await createTable(sql, database, {
    name: "leases",
    guarded: true,
    columns: {
      id: "text",
      prefix: "text",
      key_id: "text",
      version: "integer",
      dataset_id: "text",
      principal: "text",
      messages: "integer",
      created_at: "integer",
      expires_at: "integer",
      released_at: "integer?",
      revoked_at: "integer?",
      revoked_by: "text?",
    },
    key: ["id"],
    unique: ["prefix"],
    checks: { messages: "messages >= 0" },
  });
}
