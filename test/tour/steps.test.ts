import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { DemoClock } from "../../src/cli/tour/demo-clock.ts";
import { generatedSource } from "../../src/cli/tour/generated-source.ts";
import { Report } from "../../src/cli/tour/report.ts";
import { SampleDatabase } from "../../src/cli/tour/sample-database.ts";
import { readAuditKeys, verifyAudit } from "../../src/cli/tour/steps/audit.ts";
import { describeCensus, takeCensus } from "../../src/cli/tour/steps/census.ts";
import { chooseSearches } from "../../src/cli/tour/steps/choose-searches.ts";
import { destroyVersions, refuseDestruction } from "../../src/cli/tour/steps/destruction.ts";
import { findPeople } from "../../src/cli/tour/steps/find-people.ts";
import { protectTable, reencryptTable } from "../../src/cli/tour/steps/jobs.ts";
import { createKeys, rotateKeys } from "../../src/cli/tour/steps/keys.ts";
import { makeTable } from "../../src/cli/tour/steps/make-table.ts";
import { registerTable } from "../../src/cli/tour/steps/register-table.ts";
import { pickRow, showRow } from "../../src/cli/tour/steps/show-row.ts";
import { verifyRows } from "../../src/cli/tour/steps/verify-rows.ts";
import type { Tour, TourPlan } from "../../src/cli/tour/tour.ts";
import { systemClock } from "../../src/clock.ts";
import { initKeystead } from "../../src/index.ts";
import { temporaryFolder } from "./support/temporary.ts";

const rows = 12;

/** A tour of a few persons, up to and with the protection of the table, and a hand in the database behind its back. */
async function protectedTour(): Promise<{ tour: Tour; plan: TourPlan; tamper: (sql: string) => void }> {
  const path = join(temporaryFolder(), "sample.db");
  const clock = new DemoClock({ daysBehind: 8 });
  const keystead = await initKeystead({
    store: "memory:",
    masterKeys: { main: { bytes: Buffer.alloc(32, 7) } },
    databases: { sample: `sqlite:${path}` },
    demo: true,
    clock,
  });
  const source = generatedSource(rows);
  const database = new SampleDatabase(path, source);
  onTestFinished(async () => {
    database.close();
    await keystead.close();
  });
  const report = new Report({ write: async () => undefined, bar: undefined, clock: systemClock });
  const { signal } = new AbortController();
  const tour: Tour = { keystead, clock, source, database, databaseName: "sample", report, signal };
  const { result: filled } = await makeTable(tour);
  const { result: plan } = await chooseSearches(tour, filled);
  await createKeys(tour, plan);
  await registerTable(tour, plan);
  await protectTable(tour, plan);
  const tamper = (sql: string): void => {
    const other = new DatabaseSync(path);
    other.exec(sql);
    other.close();
  };
  return { tour, plan, tamper };
}

describe("opening and comparing every row", () => {
  it("is content with what nobody touched", async () => {
    const { tour, plan } = await protectedTour();
    const { result } = await verifyRows(tour, plan, 0);
    expect(result).toEqual({ rows, values: plan.values, leftAlone: 0 });
  });

  it.each([
    ["a row is gone", "DELETE FROM person WHERE id = 3", /row 3 is gone/],
    ["a row came in", "INSERT INTO person (id) VALUES (999)", /not as many rows/],
    ["a value is gone", "UPDATE person SET surname = NULL WHERE id = 2", /surname in row 2 is not what it was/],
    ["a value is plaintext", "UPDATE person SET surname = 'Nobody' WHERE id = 2", /surname in row 2 does not open/],
    [
      "a value is in another row",
      "UPDATE person SET surname = (SELECT surname FROM person WHERE id = 4) WHERE id = 2",
      /surname in row 2 does not open/,
    ],
    [
      "a value is in another column",
      "UPDATE person SET surname = email WHERE id = (SELECT min(id) FROM person WHERE email NOT NULL)",
      /does not open/,
    ],
    ["a readable value was changed", "UPDATE person SET district = 'Nowhere' WHERE id = 1", /district in row 1 is not what it was/],
  ])("notices that %s", async (_, sql, words) => {
    const { tour, plan, tamper } = await protectedTour();
    tamper(sql);
    await expect(verifyRows(tour, plan, 0)).rejects.toThrow(words);
  });

  it("notices plaintext that was never protected, unless a job reported it", async () => {
    const { tour, plan, tamper } = await protectedTour();
    const surname = (await Array.fromAsync(tour.source.rows()))[0]?.[2];
    tamper(`UPDATE person SET surname = '${String(surname).replaceAll("'", "''")}' WHERE id = 1`);
    await expect(verifyRows(tour, plan, 0)).rejects.toThrow(/in plaintext that no job reported/);
    expect((await verifyRows(tour, plan, 1)).result).toEqual({ rows, values: plan.values - 1, leftAlone: 1 });
  });
});

describe("searching", () => {
  it("is content when searches find what the scan found", async () => {
    const { tour, plan } = await protectedTour();
    const { result } = await findPeople(tour, plan, 0);
    expect(result.map(({ sameAsScan }) => sameAsScan)).toEqual([true, true, true]);
  });

  it("notices a row that is not found", async () => {
    const { tour, plan, tamper } = await protectedTour();
    tamper("UPDATE person SET surname_sound = NULL");
    await expect(findPeople(tour, plan, 0)).rejects.toThrow(/surname_sound did not find the rows/);
    expect((await findPeople(tour, plan, 1)).result.at(-1)?.rows).toBe(0);
  });

  it("says which searches are refused because a value could not be protected", async () => {
    const { tour, plan, tamper } = await protectedTour();
    await tour.keystead.datasets.unprotect(plan.dataset);
    tamper("UPDATE person SET surname = CAST(x'ff' AS TEXT) WHERE id = 1");
    const { problems } = (await tour.keystead.datasets.protect(plan.dataset)).progress;
    const { result, details } = await findPeople(tour, plan, problems);
    expect(result.every(({ column }) => column !== "surname")).toBe(true);
    expect(details?.join()).toMatch(/in surname: refused, because plaintext is left in the column/);
    await expect(findPeople(tour, plan, 0)).rejects.toMatchObject({ code: "JOB_INCOMPLETE" });
  });
});

describe("destroying", () => {
  it("is refused while rows need the version, and can't be tried when none does", async () => {
    const { tour, plan } = await protectedTour();
    await rotateKeys(tour, plan);
    const { result: census } = await takeCensus(tour, plan);
    expect(describeCensus(census).join()).toMatch(/under pii 1-\w{6} \(old\)/);
    expect((await refuseDestruction(tour, census)).result.message).toMatch(/values in dataset person/);
    const { result } = await reencryptTable(tour, plan);
    await expect(refuseDestruction(tour, result.census)).rejects.toThrow(/no value/);
  });

  it("gives certificates that only the store's audit key signs", async () => {
    const { tour, plan } = await protectedTour();
    const auditKey = await readAuditKeys(tour);
    await rotateKeys(tour, plan);
    await reencryptTable(tour, plan);
    const { result, details } = await destroyVersions(tour, plan, auditKey);
    expect(result.map(({ key }) => key)).toEqual(["pii", "financial", "medical"]);
    expect(details?.filter((detail) => detail.startsWith("certificate: ") && detail.includes(", 0 values left anywhere"))).toHaveLength(3);
    expect((await verifyAudit(tour, auditKey)).result.findings).toEqual([]);
  });

  it("believes no certificate of another key", async () => {
    const { tour, plan } = await protectedTour();
    const { tour: other } = await protectedTour();
    await rotateKeys(tour, plan);
    await reencryptTable(tour, plan);
    const otherKey = await readAuditKeys(other);
    await expect(destroyVersions(tour, plan, otherKey)).rejects.toThrow(/certificate does not hold/);
    await expect(verifyAudit(tour, otherKey)).rejects.toMatchObject({ code: "AUDIT_TAMPERED" });
  });
});

describe("the row that is shown", () => {
  it("has few gaps, and shows plaintext only of made-up persons", async () => {
    const { tour, plan } = await protectedTour();
    const original = pickRow({ ...tour, database: tour.database });
    expect(original?.filter((value) => value === null).length).toBeLessThan(3);
    const before = (await Array.fromAsync(tour.source.rows())).find(([key]) => key === original?.[0]);
    const surname = String(before?.[2]);
    expect(showRow(tour, plan, before).join("\n")).toContain(`${surname} `);
    const shown = showRow({ ...tour, source: { ...tour.source, kind: "csv" } }, plan, before).join("\n");
    expect(shown).not.toContain(surname);
    expect(shown).toMatch(/^surname +ks1:pii:1-/m);
    expect(showRow(tour, plan, undefined)).toEqual([]);
  });

  it("never shows what could not be protected", async () => {
    const { tour, plan, tamper } = await protectedTour();
    const [first] = await Array.fromAsync(tour.source.rows());
    tamper("UPDATE person SET surname = 'ks1:other' WHERE id = 1");
    expect(showRow({ ...tour, source: { ...tour.source, kind: "csv" } }, plan, first).join("\n")).not.toMatch(/^surname/m);
  });
});
