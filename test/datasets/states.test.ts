import { describe, expect, it } from "vitest";
import type { Keystead } from "../../src/index.ts";
import { canaries } from "../setup/canary.ts";
import { codeOf } from "../support/test-keystead.ts";
import { createCrm, personDataset, problemsOf, queryNumber, readExactly } from "./support/crm.ts";

const sound = { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 };

/** How version 1 of key `pii` comes to be in a state in which it opens nothing for the application. */
const states: readonly { state: string; bring: (keystead: Keystead) => Promise<unknown> }[] = [
  { state: "suspended", bring: ({ keys }) => keys.suspend("pii", 1, { reason: "incident" }) },
  { state: "compromised", bring: ({ keys }) => keys.compromise("pii", 1, { reason: "leaked" }) },
];

describe.each(states)("data of a version that is $state", ({ state, bring }) => {
  it("is moved by jobs, is not opened by searches until then, which say so", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name, name_sx TEXT)");
    database.prepare("INSERT INTO person VALUES (1, ?, NULL), (2, 'Robert', NULL)").run(canaries.name.text);
    const original = readExactly(database, "person");
    await keystead.datasets.add("crm.person", personDataset({ name: "pii" }, { indexes: { sound } }));
    await keystead.datasets.protect("crm.person");
    expect((await keystead.datasets.find("crm.person", "sound", ["Rupert"])).rows).toHaveLength(1);
    await keystead.keys.rotate("pii");
    await bring(keystead);
    const row = { row: { id: "2" }, column: "name", code: "KEY_STATE", message: expect.stringContaining(state) as unknown };
    expect(await keystead.datasets.find("crm.person", "sound", ["Rupert"])).toEqual({
      rows: [],
      complete: false,
      more: false,
      unopenedRows: 1,
      firstUnopened: [row],
    });
    expect(await codeOf(keystead.decryptValue(String(database.prepare("SELECT name FROM person").get()?.["name"])))).toBe("KEY_STATE");
    for (const job of ["verify", "protect", "index"] as const) expect(problemsOf(await keystead.datasets[job]("crm.person"))).toEqual([]);
    expect((await keystead.datasets.reencrypt("crm.person")).progress).toMatchObject({ replaced: 2, problems: 0 });
    expect(await keystead.datasets.find("crm.person", "sound", ["Rupert"])).toMatchObject({
      rows: [{ row: { id: "2" }, values: { name: "Robert" } }],
      complete: true,
    });
    await keystead.datasets.unprotect("crm.person");
    expect(readExactly(database, "person")).toEqual(original);
  });

  it("can be made plaintext again from there", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name)");
    database.exec("INSERT INTO person VALUES (1, 'Robert')");
    await keystead.datasets.add("crm.person", personDataset({ name: "pii" }));
    await keystead.datasets.protect("crm.person");
    await bring(keystead);
    expect((await keystead.datasets.unprotect("crm.person")).progress).toMatchObject({ replaced: 1, problems: 0 });
    expect(await codeOf(keystead.datasets.protect("crm.person"))).toBe("KEY_STATE");
    expect(database.prepare("SELECT name FROM person").get()).toEqual({ name: "Robert" });
  });
});

describe("data of a version that waits for destruction", () => {
  it("that came back from a backup is moved by jobs, not opened by searches, which is an alarm", async () => {
    const { keystead, database, clock } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name, name_sx TEXT)");
    database.exec("INSERT INTO person VALUES (1, 'Robert', NULL)");
    await keystead.datasets.add("crm.person", personDataset({ name: "pii" }, { indexes: { sound } }));
    await keystead.datasets.protect("crm.person");
    database.exec("CREATE TABLE backup AS SELECT * FROM person");
    await keystead.keys.rotate("pii");
    await keystead.datasets.reencrypt("crm.person");
    await keystead.keys.destroy("pii", 1);
    database.exec("UPDATE person SET name = (SELECT name FROM backup)");
    clock.advance(1000);
    expect(await keystead.datasets.find("crm.person", "sound", ["Robert"])).toMatchObject({
      rows: [],
      complete: false,
      firstUnopened: [{ row: { id: "1" }, code: "KEY_STATE" }],
    });
    expect((await keystead.keys.usage("pii", 1)).refusals).toBe(1);
    expect((await keystead.datasets.reencrypt("crm.person")).progress).toMatchObject({ replaced: 1, problems: 0 });
    expect((await keystead.datasets.find("crm.person", "sound", ["Robert"])).rows).toHaveLength(1);
    expect((await keystead.keys.usage("pii", 1)).refusals).toBe(1);
  });

  it("and was destroyed is reported and left alone", async () => {
    const { keystead, database, clock } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name)");
    database.exec("INSERT INTO person VALUES (1, 'Robert')");
    await keystead.datasets.add("crm.person", personDataset({ name: "pii" }));
    await keystead.datasets.protect("crm.person");
    database.exec("CREATE TABLE backup AS SELECT * FROM person");
    await keystead.keys.rotate("pii");
    await keystead.datasets.reencrypt("crm.person");
    await keystead.keys.destroy("pii", 1);
    clock.advance(7 * 86_400_000);
    expect((await keystead.keys.destroy("pii", 1)).status).toBe("destroyed");
    database.exec("UPDATE person SET name = (SELECT name FROM backup)");
    for (const job of ["verify", "protect", "reencrypt", "unprotect"] as const) {
      expect(problemsOf(await keystead.datasets[job]("crm.person"))).toEqual(["1 name KEY_STATE"]);
    }
    expect(queryNumber(database, "SELECT count(*) FROM person JOIN backup USING (id, name)")).toBe(1);
    expect((await keystead.datasets.takeCensus("crm.person")).columns[0]?.versions).toMatchObject([{ count: 1, standing: "destroyed" }]);
  });
});

describe("a key that can't seal", () => {
  it("keeps its data where it is: protect, reencrypt and recontext refuse, verify and unprotect work", async () => {
    const { keystead, database, clock } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name)");
    database.exec("INSERT INTO person VALUES (1, 'Robert')");
    await keystead.datasets.add("crm.person", personDataset({ name: "pii" }));
    await keystead.datasets.protect("crm.person");
    await keystead.keys.rotate("pii", { expiresAt: new Date(clock.now() + 60_000) });
    clock.advance(60_000);
    for (const job of ["protect", "reencrypt"] as const)
      expect(await codeOf(keystead.datasets[job]("crm.person"))).toBe("KEY_VERSION_EXPIRED");
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
    await keystead.keys.rotate("pii");
    expect((await keystead.datasets.reencrypt("crm.person")).progress.replaced).toBe(1);
  });
});
