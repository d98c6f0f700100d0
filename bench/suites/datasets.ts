import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { withKeystead } from "../engine.ts";
import { compare } from "../harness.ts";
import { datasetsPostgres } from "./datasets-postgres.ts";

const rows = Number(process.env["KEYSTEAD_BENCH_ROWS"] ?? "20000");
const censusRows = Number(process.env["KEYSTEAD_BENCH_CENSUS_ROWS"] ?? "1000000");

/** Re-encryption of a table against its floor, and the census of a large one against `sum(length(column))`. */
export async function datasets(): Promise<void> {
  await reencryption();
  await census();
  await datasetsPostgres();
}

/** The floor: open, seal and open again every value, plus a plain UPDATE of the same rows in transactions of the same size. */
async function reencryption(): Promise<void> {
  await withKeystead({ crm: "crm.db" }, async (keystead, folder) => {
    const database = new DatabaseSync(join(folder, "crm.db"));
    database.exec(
      "PRAGMA journal_mode=WAL; CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT, phone TEXT); CREATE TABLE plain (id INTEGER PRIMARY KEY, email TEXT, phone TEXT); BEGIN",
    );
    const insert = database.prepare("INSERT INTO person VALUES (?, ?, ?)");
    for (let id = 1; id <= rows; id += 1) insert.run(id, `person.${String(id)}@example.org`, `+49 30 ${String(1_000_000 + id)}`);
    database.exec("COMMIT");
    await keystead.keys.create({ name: "pii", purpose: "pii" });
    await keystead.datasets.add("crm.person", {
      database: "crm",
      table: "person",
      keyColumns: ["id"],
      columns: { email: { key: "pii" }, phone: { key: "pii" } },
    });
    await keystead.datasets.protect("crm.person");
    database.exec("INSERT INTO plain SELECT * FROM person");
    const key = await keystead.open("pii");
    const update = database.prepare("UPDATE plain SET email = ?, phone = ? WHERE id = ?");
    const select = database.prepare("SELECT id, email, phone FROM plain WHERE id > ? ORDER BY id LIMIT 500");
    const move = (sealed: string, id: number, column: string): string => {
      const context = { dataset: "crm.person", "row.id": String(id), column };
      const value = key.decryptValue(sealed, context);
      const fresh = key.encryptValue(value, context);
      if (key.decryptValue(fresh, context) !== value) throw new Error("a value changed");
      return fresh;
    };
    const floor = (): void => {
      for (let after = 0; after < rows; after += 500) {
        const page = select.all(after).map((row) => {
          const id = Number(row["id"]);
          return { id, email: move(String(row["email"]), id, "email"), phone: move(String(row["phone"]), id, "phone") };
        });
        database.exec("BEGIN IMMEDIATE");
        for (const { id, email, phone } of page) update.run(email, phone, id);
        database.exec("COMMIT");
      }
    };
    await compare(
      `reencrypt ${String(rows)} rows of two values, per row`,
      [
        { name: "floor: open, seal, open; plain UPDATE", units: rows, run: floor },
        {
          name: "datasets.reencrypt",
          units: rows,
          prepare: () => keystead.keys.rotate("pii"),
          run: async () => {
            const { progress } = await keystead.datasets.reencrypt("crm.person");
            if (progress.values !== 2 * rows) throw new Error("not every value was moved");
          },
        },
      ],
      { rounds: 7, goals: [{ contender: "datasets.reencrypt", to: "floor: open, seal, open; plain UPDATE", atMost: 2 }] },
    );
    database.close();
  });
}

async function census(): Promise<void> {
  await withKeystead({ crm: "crm.db" }, async (keystead, folder) => {
    const database = new DatabaseSync(join(folder, "crm.db"));
    database.exec("CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT); BEGIN");
    await keystead.keys.create({ name: "pii", purpose: "pii" });
    const key = await keystead.open("pii");
    const insert = database.prepare("INSERT INTO person VALUES (?, ?)");
    const sealed = Array.from({ length: 1000 }, (_, index) => key.encryptValue(`person.${String(index)}@example.org`, { column: "email" }));
    for (let id = 1; id <= censusRows; id += 1) insert.run(id, sealed[id % sealed.length] ?? null);
    database.exec("COMMIT");
    await keystead.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns: { email: { key: "pii" } } });
    const sum = database.prepare("SELECT sum(length(email)) FROM person");
    await compare(
      `census of ${String(censusRows)} rows, per row`,
      [
        { name: "SELECT sum(length(column))", units: censusRows, run: () => sum.get() },
        { name: "datasets.takeCensus", units: censusRows, run: () => keystead.datasets.takeCensus("crm.person") },
      ],
      { rounds: 7, goals: [{ contender: "datasets.takeCensus", to: "SELECT sum(length(column))", atMost: 8 }] },
    );
    database.close();
  });
}
