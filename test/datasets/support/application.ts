import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import type { Keystead } from "../../../src/index.ts";
import { defineFields } from "../../../src/fields/field-specification.ts";
import { RecordCipher } from "../../../src/fields/record-cipher.ts";
import { quoted } from "./quoted.ts";

const fields = { name: { key: "pii", type: "string" }, email: { key: "pii", type: "string" } } as const;

/** A process of an application on `crm.person`, which read the dataset's definition when it was started, and never again. */
export interface Application {
  /** Properties of the tokens that it writes. */
  readonly written: readonly string[];
  readonly write: (row: { readonly id: number; readonly name?: string | null; readonly email?: string | null }) => void;
  /** Ids of the rows that it finds by an index, in order. */
  readonly find: (index: string, value: string) => number[];
}

/** Starts a process of the application. Its SQL names the columns that its records have. */
export async function startApplication(keystead: Keystead, database: DatabaseSync): Promise<Application> {
  const definition = await keystead.datasets.recordDefinition("crm.person");
  const open = (key: string) => keystead.open(key, { dataset: "crm.person" });
  const cipher = new RecordCipher(defineFields(fields, definition), { pii: await open("pii"), bi: await open("bi") });
  return {
    written: Object.keys(definition.indexes ?? {}),
    write: (row) => {
      const stored = Object.entries<unknown>(cipher.encrypt(row));
      const names = stored.map(([name]) => quoted(name));
      const sets = names.map((name) => `${name} = excluded.${name}`);
      const values = stored.map(([, value]): SQLInputValue => (typeof value === "string" || typeof value === "number" ? value : null));
      database
        .prepare(
          `INSERT INTO person (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")}) ON CONFLICT (id) DO UPDATE SET ${sets.join(", ")}`,
        )
        .run(...values);
    },
    find: (index, value) => {
      const { property, tokens } = cipher.search(index, value);
      const rows = database
        .prepare(`SELECT id, name, email FROM person WHERE ${quoted(property)} IN (SELECT value FROM json_each(?)) ORDER BY id`)
        .all(JSON.stringify(tokens));
      return rows.filter((row) => cipher.matches(property, cipher.decrypt(row), value)).map((row) => Number(row["id"]));
    },
  };
}
