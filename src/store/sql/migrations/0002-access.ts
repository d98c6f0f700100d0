import type { Sql, SqlDatabase } from "../sql-database.ts";
import { createTable, type WrittenTable } from "./written-table.ts";

/** The tables of schema 2: who may do what. */
const accessTables: readonly WrittenTable[] = [
  {
    name: "policies",
    guarded: true,
    columns: {
      id: "text",
      effect: "text",
      subject: "text",
      actions: "text",
      scope: "text",
      description: "text",
      created_at: "integer",
      created_by: "text",
      updated_at: "integer",
      updated_by: "text",
    },
    key: ["id"],
    checks: { effect: "effect in ('allow', 'deny', 'approve')" },
  },
  {
    name: "principals",
    guarded: true,
    columns: {
      subject: "text",
      roles: "text",
      disabled: "integer",
      description: "text",
      created_at: "integer",
      created_by: "text",
      updated_at: "integer",
      updated_by: "text",
    },
    key: ["subject"],
    checks: { disabled: "disabled in (0, 1)" },
  },
  {
    name: "tokens",
    guarded: true,
    columns: {
      id: "text",
      hash: "bytes",
      name: "text",
      roles: "text",
      scope: "text",
      created_at: "integer",
      created_by: "text",
      expires_at: "integer",
      revoked_at: "integer?",
      revoked_by: "text?",
    },
    key: ["id"],
  },
  {
    name: "approvals",
    guarded: true,
    columns: {
      id: "text",
      state: "text",
      requester: "text",
      person: "text",
      policy: "text",
      action: "text",
      act: "text",
      digest: "text",
      requested_at: "integer",
      expires_at: "integer",
      decided_at: "integer?",
      decided_by: "text?",
      decision_reason: "text?",
    },
    key: ["id"],
    checks: { state: "state in ('pending', 'approved', 'rejected', 'used')" },
  },
];

/** Migration step 2: makes the tables of access control. */
export async function createAccessTables(sql: Sql, database: SqlDatabase): Promise<void> {
  for (const table of accessTables) await createTable(sql, database, table);
}
