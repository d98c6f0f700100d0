import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { onTestFinished } from "vitest";
import type { DatasetIndexInput, DatasetInput } from "../../../src/index.ts";
import type { ApiPlace, OpenPlace } from "../../support/api-places.ts";
import { temporaryFolder } from "../../support/test-keystead.ts";

const columns = ["email", "email_index", "email_index_2", "phone", "phone_sealed"];

/** A place whose databases have `crm`, with a table `person`. */
export interface PersonsPlace extends ApiPlace {
  /** The application's own connection. */
  readonly database: DatabaseSync;
}

/** A table `person` of so many rows, which the place may name, and the keys `k` and, for blind indexes, `i`. Nothing is registered yet. */
export async function openPersons(openPlace: OpenPlace, rows = 50): Promise<PersonsPlace> {
  const file = join(temporaryFolder(), "crm.db");
  const database = new DatabaseSync(file, { timeout: 10_000 });
  onTestFinished(() => database.close());
  database.exec(`create table person (id integer primary key, ${columns.map((column) => `${column} text`).join(", ")})`);
  const insert = database.prepare("insert into person (id, email, phone) values (?, ?, ?)");
  database.exec("begin");
  for (let id = 1; id <= rows; id += 1) insert.run(id, `person${String(id)}@example.org`, `+49 ${String(id)}`);
  database.exec("commit");
  const place = await openPlace({ crm: `sqlite:${file}` });
  await place.api.keys.create({ name: "k", purpose: "pii" });
  await place.api.keys.create({ name: "i", purpose: "pii", usage: "blind-index" });
  return { ...place, database };
}

/** The table with its column `email` protected. */
export const personDataset: DatasetInput = {
  database: "crm",
  table: "person",
  keyColumns: ["id"],
  columns: { email: { key: "k" } },
};

/** An index of it. */
export const emailIndex: DatasetIndexInput = {
  columns: ["email"],
  column: "email_index",
  key: "i",
  kind: "exact",
  normalisers: ["email"],
  bits: 32,
};

/** How many rows have something in a column. */
export function count({ database }: PersonsPlace, column: string): number {
  return Number(database.prepare(`select count(${column}) as n from person`).get()?.["n"]);
}
