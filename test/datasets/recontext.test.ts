import { describe, expect, it } from "vitest";
import { codeOf } from "../support/test-keystead.ts";
import { createCrm, personDataset, problemsOf, readColumn, readExactly } from "./support/crm.ts";
import { createPersons, pauseAt } from "./support/persons.ts";

describe("recontext", () => {
  it("refuses a template that does not fit the table, and stores nothing of it", async () => {
    const { keystead } = await createPersons(3);
    await keystead.datasets.protect("crm.person");
    for (const [template, code] of [
      [{ row: "{nothing}" }, "DATASET_UNSUITABLE"],
      [{ row: "{name}" }, "DATASET_UNSUITABLE"],
      [{ row: "{id" }, "INVALID_ARGUMENT"],
      [{ row: "{id}{id}" }, "INVALID_ARGUMENT"],
      [{ column: "x" }, "INVALID_ARGUMENT"],
      [{ row: 5 }, "INVALID_ARGUMENT"],
      [{ "": "x" }, "INVALID_ARGUMENT"],
      [{ row: "\ud800" }, "INVALID_ARGUMENT"],
      [undefined, "INVALID_ARGUMENT"],
    ] as const) {
      expect(await codeOf(keystead.datasets.recontext("crm.person", template as Record<string, string>)), JSON.stringify(template)).toBe(
        code,
      );
    }
    expect((await keystead.datasets.show("crm.person")).nextContext).toBeUndefined();
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
  });

  it("can be paused; until it is done both templates open, and no third is begun", async () => {
    const { keystead, database } = await createPersons(1200);
    await keystead.datasets.protect("crm.person");
    const next = { a: "1", row: "{id}" };
    expect(await keystead.datasets.recontext("crm.person", next, pauseAt(500).options)).toMatchObject({ state: "paused" });
    expect(await keystead.datasets.show("crm.person")).toMatchObject({ context: { dataset: "crm.person" }, nextContext: next });
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
    await keystead.keys.rotate("pii");
    expect((await keystead.datasets.reencrypt("crm.person")).progress.problems).toBe(0);
    expect(await codeOf(keystead.datasets.recontext("crm.person", { row: "x{id}" }))).toBe("CONFLICT");
    expect(await keystead.datasets.recontext("crm.person", { row: "{id}", a: "1" }, pauseAt(600).options)).toMatchObject({
      state: "paused",
    });
    expect(await keystead.datasets.recontext("crm.person", undefined)).toMatchObject({ state: "done", progress: { problems: 0 } });
    const shown = await keystead.datasets.show("crm.person");
    expect({ context: shown.context, nextContext: shown.nextContext }).toEqual({ context: next, nextContext: undefined });
    const sealed = String(readColumn(database, "income").get("3"));
    expect(await keystead.decryptValue(sealed, { context: { ...next, row: "3", column: "income" } })).toBe(3);
  });

  it("also moves what the application sealed under the old context behind its back", async () => {
    const { keystead, database } = await createPersons(600);
    await keystead.datasets.protect("crm.person");
    const key = await keystead.open("pii", { dataset: "crm.person" });
    const late = key.encryptValue("late", { dataset: "crm.person", "row.id": "1", column: "name" });
    const { state, progress } = await keystead.datasets.recontext(
      "crm.person",
      { row: "{id}" },
      {
        onProgress: ({ pass, scanned }) =>
          pass === 1 && scanned === 600 && database.prepare("UPDATE person SET name = ? WHERE id = 1").run(late),
      },
    );
    expect({ state, problems: progress.problems }).toEqual({ state: "done", problems: 0 });
    expect(key.decryptValue(String(readColumn(database, "name").get("1")), { row: "1", column: "name" })).toBe("late");
    await key.close();
  });

  it("looks at the whole table again after a pause", async () => {
    const { keystead, database } = await createPersons(600);
    database.exec("UPDATE person SET name = NULL, income = NULL WHERE id > 500");
    await keystead.datasets.protect("crm.person");
    const key = await keystead.open("pii", { dataset: "crm.person" });
    const late = key.encryptValue("late", { dataset: "crm.person", "row.id": "1", column: "name" });
    await keystead.datasets.recontext("crm.person", { row: "{id}" }, pauseAt(500).options);
    database.prepare("UPDATE person SET name = ? WHERE id = 1").run(late);
    expect(await keystead.datasets.recontext("crm.person", undefined)).toMatchObject({ state: "done", progress: { problems: 0 } });
    expect(key.decryptValue(String(readColumn(database, "name").get("1")), { row: "1", column: "name" })).toBe("late");
    await key.close();
  });

  it("is incomplete while a row can't be moved: both templates open, and it can be run again", async () => {
    const { keystead, database } = await createPersons(3);
    await keystead.datasets.protect("crm.person");
    database.exec("UPDATE person SET name = (SELECT name FROM person WHERE id = 2) WHERE id = 1");
    const before = readExactly(database, "person")[0]?.[1];
    for (const template of [{ row: "{id}" }, undefined]) {
      const result = await keystead.datasets.recontext("crm.person", template);
      expect(result).toMatchObject({ state: "incomplete", progress: { problems: 1, unopened: 1 } });
      expect(problemsOf(result)).toEqual(["1 name DECRYPTION_FAILED"]);
    }
    expect(await keystead.datasets.show("crm.person")).toMatchObject({ nextContext: { row: "{id}" }, formerContexts: [] });
    expect(JSON.stringify(await keystead.doctor.examine())).toContain("crm.person is on its way to another context and accepts both");
    expect(readExactly(database, "person")[0]?.[1]).toEqual(before);
    expect(problemsOf(await keystead.datasets.verify("crm.person"))).toEqual(["1 name DECRYPTION_FAILED"]);
    database.exec("UPDATE person SET name = NULL WHERE id = 1");
    expect(await keystead.datasets.recontext("crm.person", undefined)).toMatchObject({ state: "done", progress: { problems: 0 } });
    const { nextContext, formerContexts } = await keystead.datasets.show("crm.person");
    expect({ nextContext, formerContexts }).toEqual({ nextContext: undefined, formerContexts: [] });
  });

  it("can be ended although a value opens under neither template; it stays as it is and opens again once it is repaired", async () => {
    const { keystead, database } = await createPersons(3);
    await keystead.datasets.protect("crm.person");
    const sealed = readColumn(database, "name");
    const setName = database.prepare("UPDATE person SET name = ? WHERE id = 1");
    const old = (await keystead.datasets.show("crm.person")).context;
    const damaged = `${String(sealed.get("1")).slice(0, -4)}AAAA`;
    setName.run(damaged);
    const { state, progress } = await keystead.datasets.recontext("crm.person", { row: "{id}" }, { leaveUnopened: true });
    expect({ state, problems: progress.problems }).toEqual({ state: "done", problems: 1 });
    expect(await keystead.datasets.show("crm.person")).toMatchObject({
      context: { row: "{id}" },
      formerContexts: [{ context: old, contextTypes: { id: "integer" } }],
    });
    expect(readColumn(database, "name").get("1")).toBe(damaged);
    expect(problemsOf(await keystead.datasets.verify("crm.person"))).toEqual(["1 name DECRYPTION_FAILED"]);
    // The next template is not held up by it.
    const third = { no: "{id}" };
    expect((await keystead.datasets.recontext("crm.person", third, { leaveUnopened: true })).state).toBe("done");
    expect((await keystead.datasets.show("crm.person")).formerContexts.map(({ context }) => context)).toEqual([old, { row: "{id}" }]);
    // Put back from a backup, it is under the oldest template: on the way there and back it is taken along.
    setName.run(String(sealed.get("1")));
    for (const template of [old, third]) {
      expect(await keystead.datasets.recontext("crm.person", template)).toMatchObject({ state: "done", progress: { problems: 0 } });
    }
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
    const moved = String(readColumn(database, "name").get("1"));
    expect(await keystead.decryptValue(moved, { context: { no: "1", column: "name" } })).toBe("name 1");
  });

  it("can't be ended over a value that opens under the old template alone", async () => {
    const { keystead, database } = await createPersons(3);
    await keystead.datasets.protect("crm.person");
    database.exec(`
      UPDATE person SET name = (SELECT name FROM person WHERE id = 2) WHERE id = 1;
      CREATE TRIGGER no BEFORE UPDATE ON person WHEN old.id = 3 BEGIN SELECT RAISE(ABORT, 'no'); END`);
    const result = await keystead.datasets.recontext("crm.person", { row: "{id}" }, { leaveUnopened: true });
    expect(result).toMatchObject({ state: "incomplete", progress: { problems: 3, unopened: 1 } });
    expect(problemsOf(result).sort()).toEqual(["1 name DECRYPTION_FAILED", "3 income DATABASE_FAILED", "3 name DATABASE_FAILED"]);
    expect(problemsOf(await keystead.datasets.verify("crm.person"))).toEqual(["1 name DECRYPTION_FAILED"]);
    database.exec("DROP TRIGGER no");
    expect(await keystead.datasets.recontext("crm.person", undefined, { leaveUnopened: true })).toMatchObject({ state: "done" });
    expect(problemsOf(await keystead.datasets.verify("crm.person"))).toEqual(["1 name DECRYPTION_FAILED"]);
  });

  it("is not held up by a value that no index holds", async () => {
    const { keystead, database } = await createPersons(3);
    database.exec("ALTER TABLE person ADD COLUMN income_bi TEXT; UPDATE person SET income = 1.5 WHERE id = 2");
    const index = { columns: ["income"], column: "income_bi", key: "bi", kind: "exact", normalisers: ["none"], bits: 16 };
    await keystead.datasets.addIndex("crm.person", "income", index);
    await keystead.datasets.protect("crm.person");
    const result = await keystead.datasets.recontext("crm.person", { row: "{id}" });
    expect(result).toMatchObject({ state: "done", progress: { problems: 1, tokenProblems: 1, unopened: 0 } });
    expect(problemsOf(result)).toEqual(["2 income INVALID_ARGUMENT"]);
    expect(await keystead.datasets.show("crm.person")).toMatchObject({ context: { row: "{id}" }, formerContexts: [] });
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
  });

  it("of data of a version that was destroyed ends likewise", async () => {
    const { keystead, database, clock } = await createPersons(2);
    await keystead.datasets.protect("crm.person");
    const sealed = String(readColumn(database, "name").get("1"));
    await keystead.keys.rotate("pii");
    await keystead.datasets.reencrypt("crm.person");
    await keystead.keys.destroy("pii", 1);
    clock.advance(7 * 86_400_000);
    expect((await keystead.keys.destroy("pii", 1)).status).toBe("destroyed");
    database.prepare("UPDATE person SET name = ? WHERE id = 1").run(sealed);
    expect(await keystead.datasets.recontext("crm.person", { row: "{id}" })).toMatchObject({ state: "incomplete" });
    const result = await keystead.datasets.recontext("crm.person", undefined, { leaveUnopened: true });
    expect(result.state).toBe("done");
    expect(problemsOf(result)).toEqual(["1 name KEY_STATE"]);
  });

  it("to a template that some row has no context in leaves that readable, and can be turned back", async () => {
    const { keystead, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, tenant TEXT, name, name_sx TEXT)");
    database.exec("INSERT INTO person (id, tenant, name) VALUES (1, 'acme', 'Robert'), (2, NULL, 'Rupert')");
    const sound = { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 };
    const { context } = await keystead.datasets.add("crm.person", personDataset({ name: "pii" }, { indexes: { sound } }));
    await keystead.datasets.protect("crm.person");
    const result = await keystead.datasets.recontext("crm.person", { tenant: "{tenant}", row: "{id}" }, { leaveUnopened: true });
    expect(result).toMatchObject({ state: "incomplete", progress: { problems: 1, unopened: 0 } });
    expect(problemsOf(result)).toEqual(["2 name INVALID_ARGUMENT"]);
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
    const found = await keystead.datasets.find("crm.person", "sound", ["Robert"]);
    expect({ rows: found.rows.length, complete: found.complete }).toEqual({ rows: 2, complete: true });
    expect(await codeOf(keystead.datasets.recontext("crm.person", { row: "{id}" }))).toBe("CONFLICT");
    expect(await keystead.datasets.recontext("crm.person", context)).toMatchObject({
      state: "done",
      progress: { problems: 0, replaced: 1 },
    });
    const shown = await keystead.datasets.show("crm.person");
    expect({ context: shown.context, next: shown.nextContext, former: shown.formerContexts }).toEqual({
      context,
      next: undefined,
      former: [],
    });
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
  });

  it("is turned back from the middle of the table, and not while a job works on it", async () => {
    const { keystead } = await createPersons(12_000);
    const { context } = await keystead.datasets.show("crm.person");
    await keystead.datasets.protect("crm.person");
    const next = { no: "{id}" };
    expect((await keystead.datasets.recontext("crm.person", next, pauseAt(500).options)).state).toBe("paused");
    const attempts: Promise<string>[] = [];
    const controller = new AbortController();
    const onProgress = (): void => {
      if (attempts.length > 0) return;
      attempts.push(codeOf(keystead.datasets.recontext("crm.person", context)).finally(() => controller.abort()));
    };
    expect((await keystead.datasets.recontext("crm.person", next, { signal: controller.signal, onProgress })).state).toBe("paused");
    expect(await Promise.all(attempts)).toEqual(["CONFLICT"]);
    expect(await keystead.datasets.show("crm.person")).toMatchObject({ context, nextContext: next });
    const { state, progress } = await keystead.datasets.recontext("crm.person", context);
    expect({ state, problems: progress.problems }).toEqual({ state: "done", problems: 0 });
    expect((await keystead.datasets.show("crm.person")).context).toEqual(context);
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
  });
});
