import { SqlStore } from "../sql/sql-store.ts";
import { SqliteDatabase } from "../sqlite/sqlite-database.ts";
import type { Store } from "../store.ts";

/**
 * Opens a new, empty store that is gone once it is closed. It is the SQL store on an SQLite database in memory, so it
 * serialises rows and enforces constraints as a stored one does.
 */
export async function openMemoryStore(): Promise<Store> {
  return new SqlStore(await SqliteDatabase.openInMemory());
}
