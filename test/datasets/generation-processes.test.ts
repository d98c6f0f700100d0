import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { fileStore, temporaryFolder } from "../support/test-keystead.ts";
import { logUpdates, openDatabase, personDataset, queryNumber, readColumn, takeUpdates } from "./support/crm.ts";
import { runKilled, shareCompileCache } from "./support/killed-job.ts";

const rows = 600;

shareCompileCache();

it(
  "an index job that is killed fills a new generation, and empties an old one, in the end: every row once",
  { timeout: 120_000 },
  async () => {
    const folder = temporaryFolder();
    const path = join(folder, "crm.db");
    const database = openDatabase(path);
    database.exec("PRAGMA journal_mode = WAL; CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, old TEXT, new TEXT); BEGIN");
    const insert = database.prepare("INSERT INTO person (id, name) VALUES (?, ?)");
    for (let id = 1; id <= rows; id += 1) insert.run(id, `name ${String(id)}`);
    database.exec("COMMIT");
    mkdirSync(join(folder, "store"));
    const options = { ...fileStore(join(folder, "store")), databases: { crm: `sqlite:${path}` } };
    const keystead = await initKeystead({ ...options, settings: { refreshBound: 50 } });
    await keystead.keys.create({ name: "pii", purpose: "pii" });
    await keystead.keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
    const name = { columns: ["name"], column: "old", key: "bi", kind: "exact", normalisers: ["text"], bits: 32 };
    const { datasets } = keystead;
    await datasets.add("crm.person", personDataset({ name: "pii" }, { indexes: { name } }));
    await datasets.protect("crm.person");
    logUpdates(database);
    const runIndex = async (): Promise<void> => {
      const { killedAt, end } = await runKilled({ store: options.store, path, kind: "index", rows, rowsPerPage: 20, kills: 5 });
      expect(killedAt).toHaveLength(5);
      expect(end).toMatch(/^done \d+ 0$/);
      const updates = takeUpdates(database);
      expect([...updates.values()].filter((times) => times !== 1)).toEqual([]);
      expect(updates.size).toBe(rows);
      expect((await datasets.find("crm.person", "name", ["NAME 77"])).rows.map(({ row }) => row["id"])).toEqual(["77"]);
    };

    await datasets.startGeneration("crm.person", "name", { column: "new" });
    await runIndex();
    expect([...readColumn(database, "new").values()].every((token) => String(token).startsWith("2."))).toBe(true);
    expect((await datasets.cutOver("crm.person", "name", 2)).progress.replaced).toBe(0);
    await datasets.dropGeneration("crm.person", "name", 1);
    await runIndex();
    expect(queryNumber(database, "SELECT count(old) FROM person")).toBe(0);
    expect((await datasets.show("crm.person")).indexes).toMatchObject([{ state: "retired" }, { state: "live", searched: true }]);
    await keystead.close();
  },
);
