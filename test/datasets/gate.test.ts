import { renameSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { DestructionStatus } from "../../src/index.ts";
import { day } from "../support/test-clock.ts";
import { codeOf } from "../support/test-keystead.ts";
import { type Crm, createCrm, personDataset, readColumn } from "./support/crm.ts";

const schema = `
  CREATE TABLE person (id INTEGER PRIMARY KEY, name, income, name_sx TEXT);
  INSERT INTO person VALUES (1, 'Anna', 10, NULL), (2, 'Björn', 20, NULL), (3, NULL, 30, NULL)`;
const sound = { columns: ["name"], column: "name_sx", key: "bi", kind: "soundex", normalisers: ["text"], bits: 24 };

/** A protected table whose key `pii` has a second version. */
async function createRotated(): Promise<Crm> {
  const crm = await createCrm(schema);
  const { keystead } = crm;
  await keystead.datasets.add("crm.person", personDataset({ name: "pii", income: "fin" }, { indexes: { sound } }));
  await keystead.datasets.protect("crm.person");
  await keystead.keys.rotate("pii");
  return crm;
}

const statementSchema = z.object({
  key: z.object({ name: z.string() }),
  version: z.string(),
  evidence: z.object({
    censuses: z.array(z.object({ dataset: z.string(), takenAt: z.string(), count: z.number() })),
    zeroSince: z.string().nullable(),
    backupRetentionDays: z.number(),
    seals: z.object({ inDatasets: z.number(), outsideDatasets: z.number() }),
    indexGenerations: z.array(z.string()),
  }),
});

function statementOf(status: DestructionStatus): z.infer<typeof statementSchema> {
  if (status.status !== "destroyed") throw new Error("not destroyed");
  return statementSchema.parse(JSON.parse(status.certificate.statement));
}

describe("the destroy gate", () => {
  it("refuses while the census counts values, and lets a version go that nothing needs; the certificate says what was counted", async () => {
    const { keystead, clock } = await createRotated();
    await expect(keystead.keys.destroy("pii", 1)).rejects.toThrow(
      /2 values in dataset crm.person \(run `keystead datasets reencrypt crm.person`\)/,
    );
    await keystead.datasets.reencrypt("crm.person");
    const zeroAt = new Date(clock.now()).toISOString();
    expect((await keystead.keys.destroy("pii", 1)).status).toBe("scheduled");
    clock.advance(7 * day);
    const statement = statementOf(await keystead.keys.destroy("pii", 1, { reason: "retired" }));
    const [version] = (await keystead.keys.show("pii")).versions;
    const census = await keystead.datasets.census("pii");
    expect(census).toMatchObject([{ version: version?.label, count: 0 }, { count: 2 }]);
    expect(statement).toMatchObject({
      key: { name: "pii" },
      version: version?.label,
      evidence: {
        censuses: [{ dataset: "crm.person", takenAt: new Date(clock.now()).toISOString(), count: 0 }],
        zeroSince: zeroAt,
        backupRetentionDays: 0,
        seals: { outsideDatasets: 0 },
        indexGenerations: [],
      },
    });
    expect(statement.evidence.seals.inDatasets).toBeGreaterThanOrEqual(2);
    expect((await keystead.datasets.verify("crm.person")).progress.problems).toBe(0);
    expect((await keystead.audit.verify()).findings).toEqual([]);
  });

  it("asks every dataset, and stops when one can't be reached", async () => {
    const { keystead, database, path, clock } = await createRotated();
    database.exec("CREATE TABLE log (id INTEGER PRIMARY KEY, line); INSERT INTO log VALUES (1, 'x')");
    await keystead.datasets.add("crm.log", { ...personDataset({ line: "pii" }), table: "log" });
    await keystead.datasets.reencrypt("crm.person");
    await keystead.keys.destroy("pii", 1);
    clock.advance(7 * day);
    database.exec("ALTER TABLE log RENAME TO gone");
    await expect(keystead.keys.destroy("pii", 1)).rejects.toThrow(/dataset crm.log could not be counted/);
    database.exec("ALTER TABLE gone RENAME TO log");
    database.close();
    renameSync(path, `${path}.away`);
    await expect(keystead.keys.destroy("pii", 1)).rejects.toThrow(
      /dataset crm.log could not be counted.*dataset crm.person could not be counted/,
    );
    renameSync(`${path}.away`, path);
    expect((await keystead.keys.destroy("pii", 1)).status).toBe("destroyed");
  });

  it("keeps the version of a blind-index key that a generation names", async () => {
    const { keystead } = await createRotated();
    await keystead.keys.rotate("bi");
    await expect(keystead.keys.destroy("bi", 1)).rejects.toThrow(/blind index crm.person\/sound generation 1 is made with it/);
    expect(await keystead.datasets.find("crm.person", "sound", ["Bjorn"])).toMatchObject({ rows: [{ row: { id: "2" } }], complete: true });
  });

  it("keeps a version from which something was sealed outside datasets", async () => {
    const { keystead } = await createRotated();
    await keystead.encrypt("fin", "x");
    await keystead.keys.rotate("fin");
    await keystead.datasets.reencrypt("crm.person");
    await expect(keystead.keys.destroy("fin", 1)).rejects.toThrow(/sealed outside datasets/);
  });
});

describe("the gate's waiting for backups to run out", () => {
  it("counts from the first census that was zero", async () => {
    const { keystead, clock } = await createRotated();
    await keystead.settings.set("backupRetentionDays", 30);
    await keystead.keys.destroy("pii", 1).catch(() => undefined);
    clock.advance(day);
    await keystead.datasets.reencrypt("crm.person");
    const zeroAt = clock.now();
    await keystead.keys.destroy("pii", 1);
    for (const days of [7, 10, 12]) {
      clock.advance(days * day);
      await expect(keystead.keys.destroy("pii", 1)).rejects.toThrow(new Date(zeroAt + 30 * day).toISOString());
      await keystead.datasets.census("pii");
    }
    clock.advance(day);
    expect(statementOf(await keystead.keys.destroy("pii", 1)).evidence).toMatchObject({
      zeroSince: new Date(zeroAt).toISOString(),
      backupRetentionDays: 30,
    });
  });

  it("begins again when a value comes back from a backup", async () => {
    const { keystead, clock, database } = await createRotated();
    await keystead.settings.set("backupRetentionDays", 30);
    const backup = readColumn(database, "name").get("1");
    clock.advance(day);
    await keystead.datasets.reencrypt("crm.person");
    clock.advance(20 * day);
    database.prepare("UPDATE person SET name = ? WHERE id = 1").run(String(backup));
    await expect(keystead.keys.destroy("pii", 1)).rejects.toThrow(/1 values in dataset/);
    clock.advance(day);
    await keystead.datasets.reencrypt("crm.person");
    const zeroAt = clock.now();
    await keystead.keys.destroy("pii", 1);
    clock.advance(29 * day);
    expect(await codeOf(keystead.keys.destroy("pii", 1))).toBe("VERSION_IN_USE");
    clock.advance(day);
    expect(statementOf(await keystead.keys.destroy("pii", 1)).evidence.zeroSince).toBe(new Date(zeroAt).toISOString());
  });

  it("begins again also when no census saw the value, because it had to be opened", async () => {
    const { keystead, clock, database } = await createRotated();
    await keystead.settings.set("backupRetentionDays", 30);
    const backup = readColumn(database, "name").get("1");
    clock.advance(day);
    await keystead.datasets.reencrypt("crm.person");
    clock.advance(20 * day);
    database.prepare("UPDATE person SET name = ? WHERE id = 1").run(String(backup));
    await keystead.datasets.reencrypt("crm.person");
    await keystead.keys.destroy("pii", 1);
    clock.advance(29 * day);
    await expect(keystead.keys.destroy("pii", 1)).rejects.toThrow(/backups are kept 30 days/);
    clock.advance(day);
    expect((await keystead.keys.destroy("pii", 1)).status).toBe("destroyed");
  });

  it("does not end early because the clock was put back", async () => {
    const { keystead, clock } = await createRotated();
    await keystead.settings.set("backupRetentionDays", 5);
    clock.jump(3 * day);
    await keystead.datasets.census("pii");
    clock.jump(-3 * day);
    await keystead.datasets.reencrypt("crm.person");
    await keystead.keys.destroy("pii", 1);
    clock.advance(7 * day);
    expect(await codeOf(keystead.keys.destroy("pii", 1))).toBe("VERSION_IN_USE");
    clock.advance(5 * day);
    expect((await keystead.keys.destroy("pii", 1)).status).toBe("destroyed");
  });

  it("begins with its registration for a dataset that comes late", async () => {
    const { keystead, clock, database } = await createRotated();
    await keystead.settings.set("backupRetentionDays", 10);
    await keystead.datasets.reencrypt("crm.person");
    await keystead.keys.destroy("pii", 1);
    clock.advance(9 * day);
    database.exec("CREATE TABLE log (id INTEGER PRIMARY KEY, line)");
    await keystead.datasets.add("crm.log", { ...personDataset({ line: "pii" }), table: "log" });
    clock.advance(day);
    expect(await codeOf(keystead.keys.destroy("pii", 1))).toBe("VERSION_IN_USE");
    clock.advance(10 * day);
    expect((await keystead.keys.destroy("pii", 1)).status).toBe("destroyed");
  });
});
