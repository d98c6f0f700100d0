import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ErrorCode } from "../../src/index.ts";
import { type Crm, createCrm, personDataset, problemsOf, queryNumber, readColumn } from "./support/crm.ts";
import { quoted } from "./support/quoted.ts";
import {
  type Person,
  type PersonApplication,
  type PersonTable,
  shadowedColumns,
  startNewRelease,
  startOldRelease,
} from "./support/shadow-application.ts";

const schema = "CREATE TABLE person (id INTEGER PRIMARY KEY, phone TEXT, age INTEGER, phone_sealed TEXT, age_sealed TEXT)";

function tableOf(database: DatabaseSync): PersonTable {
  return {
    write: async (id, columns) => {
      const entries = Object.entries({ ...columns, id });
      const names = entries.map(([name]) => quoted(name));
      const values = entries.map(([, value]): SQLInputValue => (typeof value === "string" || typeof value === "number" ? value : null));
      const places = names.map(() => "?").join(", ");
      const sets = names.map((name) => `${name} = excluded.${name}`).join(", ");
      database.prepare(`INSERT INTO person (${names.join(", ")}) VALUES (${places}) ON CONFLICT (id) DO UPDATE SET ${sets}`).run(...values);
      return Promise.resolve();
    },
    read: async (id) => Promise.resolve({ ...database.prepare("SELECT * FROM person WHERE id = ?").get(id) }),
  };
}

interface Shadowed extends Crm {
  readonly table: PersonTable;
  readonly old: PersonApplication;
}

async function createShadowed(sql = schema): Promise<Shadowed> {
  const crm = await createCrm(sql);
  const table = tableOf(crm.database);
  await crm.keystead.datasets.add("crm.person", { ...personDataset({}), columns: shadowedColumns });
  return { ...crm, table, old: startOldRelease(table) };
}

/** The message of what an act is refused with. */
async function refusal(code: ErrorCode, act: Promise<unknown>): Promise<string> {
  const error: unknown = await act.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  expect(error).toMatchObject({ code });
  return error instanceof Error ? error.message : "";
}

const plaintextLeft = (database: DatabaseSync): number => queryNumber(database, "SELECT count(phone) + count(age) FROM person");

describe("a column with its plaintext beside it", () => {
  it("is erased although processes that write the plaintext go on, and is gone once a run finds none", async () => {
    const { keystead, database, table, old } = await createShadowed();
    const { datasets } = keystead;
    for (let id = 1; id <= 30; id += 1) await old.write({ id, phone: `+49 ${String(id)}`, age: null });
    await datasets.protect("crm.person");
    await datasets.cutOverColumn("crm.person", "phone");
    const both = await startNewRelease(keystead, table);
    let writes = 0;
    const onProgress = (): void => {
      void both.write({ id: 7, phone: `+1 ${String((writes += 1))}`, age: null });
    };
    expect(await datasets.eraseColumn("crm.person", "phone", { onProgress })).toMatchObject({ state: "done", progress: { problems: 0 } });
    const use = async () => (await datasets.recordDefinition("crm.person")).shadows?.["phone"]?.use;
    expect([await use(), plaintextLeft(database)]).toEqual(["none", 1]);
    expect((await datasets.eraseColumn("crm.person", "phone")).progress.replaced).toBe(1);
    expect(await use()).toBe("none");
    expect((await datasets.eraseColumn("crm.person", "phone")).progress.replaced).toBe(0);
    expect([await use(), plaintextLeft(database)]).toEqual(["erased", 0]);
    expect((await both.read(7)).phone).toBe(`+1 ${String(writes)}`);
  });

  it("is read right at every step, by processes of every release that may run then", async () => {
    const { keystead, database, table, old } = await createShadowed();
    const { datasets } = keystead;
    const rows = new Map<number, Person>();
    let next = 0;
    /** Every process writes a new row and over one of another's, and all of them read everything. */
    const everybody = async (...processes: readonly PersonApplication[]): Promise<void> => {
      for (const process of processes) {
        for (const id of [(next += 1), Math.max(1, next - 2)]) {
          const person = { id, phone: next % 4 === 0 ? null : `+49 ${String(id)} ${String(next)}`, age: next % 3 === 0 ? null : next };
          await process.write(person);
          rows.set(id, person);
          for (const reader of processes) for (const row of rows.values()) expect(await reader.read(row.id)).toEqual(row);
        }
      }
    };
    await everybody(old);
    const dual = await startNewRelease(keystead, table);
    await everybody(old, dual);
    expect((await datasets.protect("crm.person")).state).toBe("done");
    await everybody(dual, old);
    expect(await refusal("JOB_INCOMPLETE", datasets.cutOverColumn("crm.person", "phone"))).toContain("plaintext alone");

    // The old release is gone.
    await everybody(dual);
    for (const column of ["phone", "age"]) {
      await datasets.protect("crm.person");
      await datasets.cutOverColumn("crm.person", column);
      const after = await startNewRelease(keystead, table);
      await everybody(dual, after);
    }
    await refusal("INVALID_ARGUMENT", datasets.cutOverColumn("crm.person", "age"));
    const cutOver = await startNewRelease(keystead, table);
    await everybody(cutOver, await startNewRelease(keystead, table));
    expect((await datasets.eraseColumn("crm.person", "phone")).remains?.[0]).toContain("VACUUM");
    await datasets.eraseColumn("crm.person", "age");
    expect(plaintextLeft(database)).toBe(0);
    const last = await startNewRelease(keystead, table);
    await everybody(last);
    // A process that was not started anew writes plaintext again.
    await everybody(cutOver, last);
    expect(plaintextLeft(database)).toBeGreaterThan(0);
    expect((await datasets.eraseColumn("crm.person", "phone")).progress.replaced).toBeGreaterThan(0);
    await everybody(last);
    for (const column of ["phone", "age"]) await datasets.eraseColumn("crm.person", column);
    expect(plaintextLeft(database)).toBe(0);
    expect((await datasets.show("crm.person")).columns.map(({ name, plaintext }) => [name, plaintext?.use])).toEqual([
      ["phone", "erased"],
      ["age", "erased"],
    ]);
    await refusal("INVALID_ARGUMENT", datasets.eraseColumn("crm.person", "age"));
    database.exec("ALTER TABLE person DROP COLUMN phone; ALTER TABLE person DROP COLUMN age");
    await everybody(await startNewRelease(keystead, table));
    expect((await datasets.verify("crm.person")).progress).toMatchObject({ problems: 0, scanned: rows.size });
  });

  it("is sealed anew where its plaintext was changed alone, and counted where ciphertext lacks", async () => {
    const { keystead, database, old } = await createShadowed();
    const { datasets } = keystead;
    await old.write({ id: 1, phone: "1", age: 1 });
    await old.write({ id: 2, phone: null, age: null });
    const plaintext = async (): Promise<number[]> => (await datasets.takeCensus("crm.person")).columns.map((column) => column.plaintext);
    expect(await plaintext()).toEqual([1, 1]);
    expect((await datasets.protect("crm.person", { dryRun: true })).progress.values).toBe(2);
    expect((await datasets.protect("crm.person")).progress).toMatchObject({ replaced: 1, values: 2, problems: 0 });
    expect(await plaintext()).toEqual([0, 0]);
    const before = readColumn(database, "phone_sealed");
    expect((await datasets.protect("crm.person")).progress.replaced).toBe(0);
    expect(readColumn(database, "phone_sealed")).toEqual(before);
    await old.write({ id: 1, phone: "2", age: null });
    expect((await datasets.protect("crm.person")).progress.values).toBe(2);
    expect(readColumn(database, "age_sealed").get("1")).toBeNull();
    expect(readColumn(database, "phone_sealed").get("1")).not.toBe(before.get("1"));
    expect(readColumn(database, "phone").get("1")).toBe("2");
  });

  it("is not cut over while a row can't be worked on, nor erased where the two differ", async () => {
    const { keystead, database, old } = await createShadowed();
    const { datasets } = keystead;
    await old.write({ id: 1, phone: "1", age: 1 });
    await old.write({ id: 2, phone: "2", age: 2 });
    await datasets.protect("crm.person");
    database.exec("UPDATE person SET phone_sealed = (SELECT phone_sealed FROM person WHERE id = 1) WHERE id = 2");
    await refusal("JOB_INCOMPLETE", datasets.cutOverColumn("crm.person", "phone"));
    expect((await datasets.show("crm.person")).columns[0]?.plaintext?.use).toBe("read");
    database.exec("UPDATE person SET phone_sealed = NULL WHERE id = 2");
    await datasets.protect("crm.person");
    await datasets.cutOverColumn("crm.person", "phone");
    database.exec("UPDATE person SET phone = 'x' WHERE id = 2");
    await refusal("JOB_INCOMPLETE", datasets.eraseColumn("crm.person", "phone"));
    database.exec("UPDATE person SET phone = '2' WHERE id = 2");
    await datasets.eraseColumn("crm.person", "phone");
    database.exec("UPDATE person SET phone = 'x' WHERE id = 2");
    expect(problemsOf(await datasets.eraseColumn("crm.person", "phone"))).toEqual(["2 phone INVALID_ARGUMENT"]);
    expect(readColumn(database, "phone").get("2")).toBe("x");
  });

  it("keeps its order of steps, and its plaintext where that can't be NULL", async () => {
    const { keystead, old } = await createShadowed(schema.replace("phone TEXT", "phone TEXT NOT NULL"));
    const { datasets } = keystead;
    await old.write({ id: 1, phone: "1", age: 1 });
    expect(await refusal("CONFLICT", datasets.eraseColumn("crm.person", "phone"))).toContain("shadow cut-over");
    expect(await refusal("CONFLICT", datasets.unprotect("crm.person"))).toContain("column phone");
    await refusal("INVALID_ARGUMENT", datasets.cutOverColumn("crm.person", "fone"));
    await datasets.protect("crm.person");
    expect((await datasets.cutOverColumn("crm.person", "phone", { dryRun: true })).dryRun).toBe(true);
    expect((await datasets.show("crm.person")).columns[0]?.plaintext?.use).toBe("read");
    await datasets.cutOverColumn("crm.person", "phone");
    expect(await refusal("DATASET_UNSUITABLE", datasets.eraseColumn("crm.person", "phone"))).toContain("DROP NOT NULL");
    expect((await datasets.show("crm.person")).columns[0]?.plaintext?.use).toBe("written");
  });

  it("belongs to one dataset, with its plaintext", async () => {
    const { keystead } = await createShadowed();
    await refusal("DATASET_UNSUITABLE", keystead.datasets.add("other", personDataset({ phone: "pii" })));
    await refusal(
      "INVALID_ARGUMENT",
      keystead.datasets.add("twice", { ...personDataset({}), columns: { phone: { key: "pii", plaintext: "phone" } } }),
    );
  });

  it("answers searches once no process writes plaintext alone", async () => {
    const crm = await createCrm(schema.replace(")", ", phone_index TEXT)"));
    const { datasets } = crm.keystead;
    await datasets.add("crm.person", {
      ...personDataset({}),
      columns: shadowedColumns,
      indexes: { phone: { columns: ["phone"], column: "phone_index", key: "bi", kind: "exact", normalisers: ["text"], bits: 16 } },
    });
    await startOldRelease(tableOf(crm.database)).write({ id: 1, phone: "1", age: 1 });
    await datasets.index("crm.person");
    await datasets.protect("crm.person");
    expect(readColumn(crm.database, "phone_index").get("1")).toMatch(/^1\./);
    await refusal("JOB_INCOMPLETE", datasets.find("crm.person", "phone", ["1"]));
    for (const column of ["phone", "age"]) await datasets.cutOverColumn("crm.person", column);
    expect((await datasets.find("crm.person", "phone", ["1"])).rows).toHaveLength(1);
  });

  it("reads what was written last, in whatever order processes and jobs work", async () => {
    const steps = fc.array(fc.tuple(fc.constantFrom("old", "dual", "protect", "null"), fc.integer({ min: 1, max: 3 })), {
      minLength: 3,
      maxLength: 10,
    });
    await fc.assert(
      fc.asyncProperty(steps, async (acts) => {
        const { keystead, table, old } = await createShadowed();
        const dual = await startNewRelease(keystead, table);
        const rows = new Map<number, Person>();
        for (const [place, [act, id]] of acts.entries()) {
          if (act === "protect") await keystead.datasets.protect("crm.person");
          else {
            const person = { id, phone: act === "null" ? null : String(place), age: place };
            await (act === "dual" ? dual : old).write(person);
            rows.set(id, person);
          }
          for (const row of rows.values()) for (const reader of [old, dual]) expect(await reader.read(row.id)).toEqual(row);
        }
        expect((await keystead.datasets.protect("crm.person")).progress.problems).toBe(0);
        await keystead.datasets.cutOverColumn("crm.person", "phone");
        const after = await startNewRelease(keystead, table);
        for (const row of rows.values()) expect(await after.read(row.id)).toEqual(row);
      }),
      { numRuns: 15 },
    );
  });
});
