import type { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { defineFields } from "../../src/fields/field-specification.ts";
import { RecordCipher } from "../../src/fields/record-cipher.ts";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import type { Store } from "../../src/store/store.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { codeOf, fileStore, temporaryFolder } from "../support/test-keystead.ts";
import { openWithParts } from "../support/test-parts.ts";
import { createCrm, openDatabase, personDataset, problemsOf, readColumn, readExactly } from "./support/crm.ts";

const schema = `
  CREATE TABLE person (id INTEGER PRIMARY KEY, name, number, name_sx TEXT, number_bi TEXT);
  INSERT INTO person (id, name, number) VALUES (1, 'Robert', 5), (2, 'Anna', 6)`;
const sound = { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 };
const number = { columns: ["number"], column: "number_bi", key: "other", kind: "exact", normalisers: ["none"], bits: 8 };

interface Indexed {
  readonly keystead: Keystead;
  readonly database: DatabaseSync;
  readonly store: Store;
  readonly clock: TestClock;
}

/** A protected table, its index `sound` under version 1 of key `bi`, which has a second version. */
async function createIndexed(): Promise<Indexed> {
  const folder = temporaryFolder();
  const database = openDatabase(`${folder}/crm.db`);
  database.exec(schema);
  const clock = new TestClock();
  const options = { ...fileStore(folder), clock, databases: { crm: `sqlite:${folder}/crm.db` } };
  await (await initKeystead(options)).close();
  const stores: Store[] = [];
  const keystead = await openWithParts(options, { store: (opened) => (stores.push(opened), opened) });
  const [store] = stores;
  if (store === undefined) throw new Error("no store was opened");
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  for (const name of ["bi", "other"]) await keystead.keys.create({ name, purpose: "pii", usage: "blind-index" });
  await keystead.datasets.add("crm.person", personDataset({ name: "pii", number: "pii" }, { indexes: { sound, number } }));
  await keystead.datasets.protect("crm.person");
  await keystead.keys.rotate("bi");
  return { keystead, database, store, clock };
}

/** A row as an application reads it. */
function rowOf({ database }: Indexed, id: number): Readonly<Record<string, unknown>> {
  return database.prepare("SELECT * FROM person WHERE id = ?").get(id) ?? {};
}

/** How version 1 of key `bi` comes to be in a state in which it makes no tokens for applications, and what is said then. */
const states: readonly { state: string; bring: (indexed: Indexed) => Promise<unknown>; way: RegExp }[] = [
  { state: "suspended", bring: ({ keystead }) => keystead.keys.suspend("bi", 1), way: /jobs alone.*`keystead keys resume`/ },
  {
    state: "compromised",
    bring: ({ keystead }) => keystead.keys.compromise("bi", 1),
    way: /jobs alone.*`keystead datasets generation start`/,
  },
  {
    // The gate lets no version go that an index names, so the row is written.
    state: "destruction-pending",
    bring: async ({ keystead, store, clock }) => {
      await keystead.keys.deactivate("bi", 1);
      const { id: keyId } = await keystead.keys.show("bi");
      await store.transaction(async (tables) => {
        const row = await tables.versions.get({ keyId, version: 1 });
        if (row !== undefined) await tables.versions.update({ ...row, destroyAt: clock.now() + 7 * day });
      });
      await keystead.refresh();
    },
    way: /jobs alone.*`keystead keys cancel-destroy`/,
  },
];

describe.each(states)("a blind index under a version that is $state", ({ state, bring, way }) => {
  it("is kept right by every job", async () => {
    const indexed = await createIndexed();
    const { keystead, database } = indexed;
    const { datasets } = keystead;
    await bring(indexed);
    expect((await keystead.keys.show("bi")).versions[0]?.state).toBe(state);
    const tokens = readColumn(database, "name_sx");
    database.exec("INSERT INTO person (id, name, number) VALUES (3, 'Rupert', 5)");
    await keystead.keys.rotate("pii");
    for (const job of ["verify", "protect", "reencrypt", "index"] as const) {
      expect(problemsOf(await datasets[job]("crm.person", { dryRun: true }))).toEqual([]);
      expect(problemsOf(await datasets[job]("crm.person"))).toEqual([]);
    }
    tokens.set("3", tokens.get("1"));
    expect(readColumn(database, "name_sx")).toEqual(tokens);
    database.exec("UPDATE person SET name_sx = NULL");
    expect((await datasets.index("crm.person")).progress).toMatchObject({ replaced: 3, problems: 0 });
    expect(readColumn(database, "name_sx")).toEqual(tokens);
    expect(problemsOf(await datasets.recontext("crm.person", { row: "{id}" }))).toEqual([]);
    expect((await datasets.takeCensus("crm.person")).indexes[0]).toMatchObject({ generations: { 1: 3 }, none: 0 });
    expect((await keystead.keys.usage("bi", 1)).refusals).toBe(0);
    expect((await datasets.unprotect("crm.person")).progress).toMatchObject({ replaced: 3, problems: 0 });
    const columns = ["id", "name", "number", "name_sx", "number_bi"];
    expect(readExactly(database, "person").map((row) => columns.map((_, at) => row[at]?.[0]))).toEqual(
      Array.from({ length: 3 }, () => ["integer", "text", "integer", "null", "null"]),
    );
  });

  it("is neither searched nor written by applications, which still read; each attempt is counted, and other indexes answer", async () => {
    const indexed = await createIndexed();
    const { keystead } = indexed;
    await bring(indexed);
    await expect(keystead.datasets.find("crm.person", "sound", ["Robert"])).rejects.toMatchObject({
      code: "KEY_STATE",
      message: expect.stringMatching(way) as unknown,
    });
    expect(await keystead.datasets.find("crm.person", "number", [5])).toMatchObject({ rows: [{ row: { id: "1" } }], complete: true });
    const definition = await keystead.datasets.recordDefinition("crm.person");
    const open = async (name: string) => keystead.open(name, { dataset: "crm.person" });
    const keys = { pii: await open("pii"), bi: await open("bi"), other: await open("other") };
    const fields = defineFields({ name: { key: "pii", type: "string" }, number: { key: "pii", type: "bigint" } }, definition);
    const people = new RecordCipher(fields, keys);
    expect(people.decrypt(rowOf(indexed, 1))).toMatchObject({ name: "Robert", number: 5n });
    expect((await keystead.keys.usage("bi", 1)).refusals).toBe(2);
    expect(await codeOf(() => people.encrypt({ id: 3, name: "Ida" }))).toBe("KEY_STATE");
    expect(await codeOf(() => people.search("sound", "Ida"))).toBe("KEY_STATE");
    expect(await codeOf(() => people.queryTokens("name_sx", "Ida"))).toBe("KEY_STATE");
    expect(people.encrypt({ id: 3, number: 5n })["number_bi"]).toBe(people.search("number", 5).tokens[0]);
    expect((await keystead.keys.usage("bi", 1)).refusals).toBe(5);
  });
});

describe("a blind index", () => {
  it("is searched again once the suspension of its version ends", async () => {
    const { keystead } = await createIndexed();
    await keystead.keys.suspend("bi", 1);
    expect(await codeOf(keystead.datasets.find("crm.person", "sound", ["Robert"]))).toBe("KEY_STATE");
    await keystead.keys.resume("bi", 1);
    expect(await keystead.datasets.find("crm.person", "sound", ["Robert"])).toMatchObject({ rows: [{ row: { id: "1" } }], complete: true });
  });

  it.each(["suspend", "deactivate", "compromise"] as const)("is not begun with a version after %s", async (act) => {
    const { keystead } = await createCrm(schema);
    await keystead.keys[act]("bi", 1);
    const input = personDataset({ name: "pii" }, { indexes: { sound } });
    await expect(keystead.datasets.add("crm.person", input)).rejects.toMatchObject({
      code: "KEY_STATE",
      message: expect.stringContaining("`keystead keys rotate bi`") as unknown,
    });
    await keystead.keys.rotate("bi");
    await keystead.datasets.add("crm.person", input);
    await keystead.datasets.protect("crm.person");
    expect((await keystead.datasets.find("crm.person", "sound", ["Robert"])).rows).toHaveLength(1);
  });
});
