import { expect } from "vitest";
import type { DatasetIndexInput, IndexGenerationInfo, IndexGenerationInput } from "../../../src/index.ts";
import { type Crm, createCrm, personDataset, queryNumber } from "./crm.ts";

const schema = "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, email TEXT, email_bi TEXT, email_2 TEXT, email_3 TEXT, notes TEXT)";
/** The index in its first generation. */
const emailIndex: DatasetIndexInput = {
  columns: ["email"],
  column: "email_bi",
  key: "bi",
  kind: "exact",
  normalisers: ["email"],
  bits: 16,
};
/** How many the table has. */
export const rows = 1200;

/** A protected table with an index that is searched. */
export async function createSearched(index: Partial<DatasetIndexInput> = {}): Promise<Crm> {
  const crm = await createCrm(schema);
  crm.database.exec(
    `WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${String(rows)})
     INSERT INTO person (id, name, email, notes) SELECT i, 'Robert', 'p' || i || '@example.org', 'a note' FROM n`,
  );
  const input = personDataset({ name: "pii", email: "pii" }, { indexes: { email: { ...emailIndex, ...index } } });
  await crm.keystead.datasets.add("crm.person", input);
  await crm.keystead.datasets.protect("crm.person");
  return crm;
}

/** Ids of the rows that the engine finds. */
export async function found({ keystead }: Crm, value: string): Promise<string[]> {
  const result = await keystead.datasets.find("crm.person", "email", [value], { limit: rows });
  expect(result.complete).toBe(true);
  return result.rows.map(({ row }) => row["id"] ?? "");
}

/** Every generation with what it is. */
export async function statesOf({ keystead }: Crm): Promise<string[]> {
  const { indexes } = await keystead.datasets.show("crm.person");
  return indexes.map(
    ({ generation, state, searched, column }: IndexGenerationInfo) =>
      `${String(generation)} ${state}${searched ? " searched" : ""} ${column}`,
  );
}

/** How many rows have a token in a column. */
export const countTokens = ({ database }: Crm, column: string): number => queryNumber(database, `SELECT count(${column}) FROM person`);

/** Brings a second generation to the point where it is searched. */
export async function cutOver(crm: Crm, input: IndexGenerationInput = { column: "email_2" }): Promise<void> {
  const { datasets } = crm.keystead;
  await datasets.startGeneration("crm.person", "email", input);
  await datasets.index("crm.person");
  expect((await datasets.cutOver("crm.person", "email", 2)).state).toBe("done");
}
