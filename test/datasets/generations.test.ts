import { describe, expect, it } from "vitest";
import { codeOf } from "../support/test-keystead.ts";
import { startApplication } from "./support/application.ts";
import { logUpdates, readColumn, takeUpdates } from "./support/crm.ts";
import { pauseAt } from "./support/persons.ts";
import { countTokens, createSearched, cutOver, found, rows, statesOf } from "./support/searched.ts";

describe("another generation of an index", () => {
  it("takes the place of the one before, step by step; whoever searches finds every row at every moment", async () => {
    const crm = await createSearched();
    const { keystead, database } = crm;
    const { datasets } = keystead;
    await keystead.keys.rotate("bi");
    const first = await startApplication(keystead, database);

    const started = await datasets.startGeneration("crm.person", "email", { column: "email_2" });
    expect(started.advice.join()).toContain('"email_2"');
    expect(started.indexes).toMatchObject([
      { generation: 1, state: "live", searched: true, column: "email_bi", bits: 16, keyVersion: 1 },
      { generation: 2, state: "building", searched: false, column: "email_2", kind: "exact", normaliser: "email", bits: 16, keyVersion: 2 },
    ]);
    expect(await found(crm, "P7@example.org")).toEqual(["7"]);
    const second = await startApplication(keystead, database);
    expect([first.written, second.written]).toEqual([["email_bi"], ["email_bi", "email_2"]]);
    second.write({ id: 7, email: "seven@example.org" });
    for (const find of [first.find, second.find]) expect(find("email", "Seven@example.org")).toEqual([7]);
    expect(await found(crm, "seven@example.org")).toEqual(["7"]);
    expect(await found(crm, "p7@example.org")).toEqual([]);

    logUpdates(database);
    expect((await datasets.index("crm.person")).progress).toMatchObject({ replaced: rows - 1, values: 0, problems: 0 });
    expect(takeUpdates(database).has("7")).toBe(false);
    expect(await statesOf(crm)).toEqual(["1 live searched email_bi", "2 live email_2"]);
    expect([...readColumn(database, "email_2").values()].every((token) => String(token).startsWith("2."))).toBe(true);
    expect(await found(crm, "p8@example.org")).toEqual(["8"]);

    expect((await datasets.cutOver("crm.person", "email", 2)).progress).toMatchObject({ replaced: 0, scanned: rows });
    expect(await statesOf(crm)).toEqual(["1 live email_bi", "2 live searched email_2"]);
    const third = await startApplication(keystead, database);
    third.write({ id: 9, email: "nine@example.org" });
    expect(third.written).toEqual(["email_bi", "email_2"]);
    for (const { find } of [first, second, third]) expect(find("email", "nine@example.org")).toEqual([9]);
    expect(await found(crm, "nine@example.org")).toEqual(["9"]);

    await datasets.dropGeneration("crm.person", "email", 1);
    expect(await statesOf(crm)).toEqual(["1 leaving email_bi", "2 live searched email_2"]);
    const fourth = await startApplication(keystead, database);
    expect(fourth.written).toEqual(["email_2"]);
    expect((await datasets.index("crm.person")).progress).toMatchObject({ replaced: rows, problems: 0 });
    expect(countTokens(crm, "email_bi")).toBe(0);
    expect(await statesOf(crm)).toEqual(["1 retired email_bi", "2 live searched email_2"]);
    for (const { find } of [third, fourth]) expect(find("email", "nine@example.org")).toEqual([9]);
    expect(await found(crm, "nine@example.org")).toEqual(["9"]);
    database.exec("ALTER TABLE person DROP COLUMN email_bi");
    expect(await found(crm, "p8@example.org")).toEqual(["8"]);
    expect((await datasets.verify("crm.person")).progress.problems).toBe(0);
    expect((await keystead.doctor.examine()).filter(({ status }) => status !== "good")).toEqual([]);
    const acts = (await keystead.audit.show()).filter(({ action }) => /generation|cut-over/.test(String(action)));
    expect(acts).toMatchObject([
      { action: "datasets.start-generation", detail: { index: "email", generation: 2 } },
      { action: "datasets.cut-over", detail: { index: "email", generation: 2 } },
      { action: "datasets.drop-generation", detail: { index: "email", generation: 1 } },
    ]);
  });

  it("finds a row of an application that was started before the generation came, which cutting over notices", async () => {
    const crm = await createSearched();
    const { keystead, database } = crm;
    const old = await startApplication(keystead, database);
    await keystead.datasets.startGeneration("crm.person", "email", { column: "email_2" });
    await keystead.datasets.index("crm.person");
    old.write({ id: 5, email: "five@example.org" });
    expect(await found(crm, "five@example.org")).toEqual(["5"]);
    const refusal = keystead.datasets.cutOver("crm.person", "email", 2);
    await expect(refusal).rejects.toMatchObject({
      code: "JOB_INCOMPLETE",
      message: expect.stringMatching(/^1 rows .* without a generation of index email; start it anew/) as unknown,
    });
    expect(await statesOf(crm)).toEqual(["1 live searched email_bi", "2 live email_2"]);
    await keystead.datasets.cutOver("crm.person", "email", 2);
    // One that nobody started anew writes again: the tokens of the other generation still find its rows.
    old.write({ id: 6, email: "six@example.org" });
    expect(await found(crm, "six@example.org")).toEqual(["6"]);
    expect(await found(crm, "p6@example.org")).toEqual([]);
  });

  it("keeps its column until applications stop writing it", async () => {
    const crm = await createSearched();
    const { keystead, database } = crm;
    await cutOver(crm);
    const both = await startApplication(keystead, database);
    await keystead.datasets.dropGeneration("crm.person", "email", 1);
    let writes = 0;
    const result = await keystead.datasets.index("crm.person", {
      onProgress: () => {
        writes += 1;
        both.write({ id: writes, email: `again${String(writes)}@example.org` });
      },
    });
    expect(result).toMatchObject({
      state: "done",
      census: { indexes: [{ column: "email_2" }, { column: "email_bi", none: rows - writes }] },
    });
    expect(await statesOf(crm)).toEqual(["1 leaving email_bi", "2 live searched email_2"]);
    expect((await keystead.doctor.examine()).filter(({ status }) => status === "warning")).toMatchObject([
      { message: expect.stringMatching(/generation 1 of index email of crm.person is being dropped.*datasets index/) as unknown },
    ]);
    expect(await codeOf(keystead.datasets.startGeneration("crm.person", "email", { column: "email_3" }))).toBe("CONFLICT");
    expect(await found(crm, "again1@example.org")).toEqual(["1"]);
    await keystead.datasets.dropGeneration("crm.person", "email", 1);
    expect((await keystead.datasets.index("crm.person")).progress).toMatchObject({ replaced: writes });
    expect(await statesOf(crm)).toEqual(["1 retired email_bi", "2 live searched email_2"]);
    await keystead.datasets.startGeneration("crm.person", "email", { column: "email_bi" });
    expect((await statesOf(crm)).at(-1)).toBe("3 building email_bi");
  });

  it("can be given up before and after it is searched", async () => {
    const crm = await createSearched();
    const { datasets } = crm.keystead;
    await datasets.startGeneration("crm.person", "email", { column: "email_2", bits: 32 });
    await datasets.dropGeneration("crm.person", "email", 2);
    await datasets.index("crm.person");
    expect(await statesOf(crm)).toEqual(["1 live searched email_bi", "2 retired email_2"]);
    await datasets.startGeneration("crm.person", "email", { column: "email_3" });
    await datasets.index("crm.person");
    await datasets.cutOver("crm.person", "email", 3);
    await datasets.cutOver("crm.person", "email", 1);
    expect((await datasets.recordDefinition("crm.person")).indexes).toMatchObject({
      email_bi: { index: "email", searched: true },
      email_3: { index: "email", searched: false },
    });
    await datasets.dropGeneration("crm.person", "email", 3);
    await datasets.index("crm.person");
    expect(await statesOf(crm)).toEqual(["1 live searched email_bi", "2 retired email_2", "3 retired email_3"]);
    expect([countTokens(crm, "email_2"), countTokens(crm, "email_3"), countTokens(crm, "email_bi")]).toEqual([0, 0, rows]);
    expect(await found(crm, "p8@example.org")).toEqual(["8"]);
  });

  it("is filled and emptied by other jobs, too, each value in the same statement as its tokens", async () => {
    const crm = await createSearched();
    const { keystead, database } = crm;
    const { datasets } = keystead;
    await datasets.startGeneration("crm.person", "email", { column: "email_2" });
    await keystead.keys.rotate("pii");
    logUpdates(database);
    await datasets.reencrypt("crm.person");
    expect([...takeUpdates(database).values()].every((times) => times === 1)).toBe(true);
    expect(countTokens(crm, "email_2")).toBe(rows);
    expect(await statesOf(crm)).toEqual(["1 live searched email_bi", "2 building email_2"]);
    await datasets.unprotect("crm.person");
    expect([countTokens(crm, "email_2"), countTokens(crm, "email_bi")]).toEqual([0, 0]);
    expect(await statesOf(crm)).toEqual(["1 building searched email_bi", "2 building email_2"]);
    takeUpdates(database);
    await datasets.protect("crm.person");
    expect([...takeUpdates(database).values()].every((times) => times === 1)).toBe(true);
    expect(await statesOf(crm)).toEqual(["1 live searched email_bi", "2 live email_2"]);
    await datasets.cutOver("crm.person", "email", 2);
    await datasets.dropGeneration("crm.person", "email", 1);
    await datasets.recontext("crm.person", { row: "{id}" });
    expect([countTokens(crm, "email_2"), countTokens(crm, "email_bi")]).toEqual([rows, 0]);
    await datasets.protect("crm.person");
    expect(await statesOf(crm)).toEqual(["1 retired email_bi", "2 live searched email_2"]);
  });

  it("empties the column beside values that do not open", async () => {
    const crm = await createSearched();
    await cutOver(crm);
    crm.database.exec("UPDATE person SET email = (SELECT email FROM person WHERE id = 1) WHERE id = 2");
    await crm.keystead.datasets.dropGeneration("crm.person", "email", 1);
    expect((await crm.keystead.datasets.index("crm.person")).progress).toMatchObject({ problems: 1 });
    expect(countTokens(crm, "email_bi")).toBe(0);
    expect(await statesOf(crm)).toEqual(["1 retired email_bi", "2 live searched email_2"]);
  });

  it.each([
    { what: "other bits", input: { column: "email_2", bits: 64 }, generation: { kind: "exact", normaliser: "email", bits: 64 } },
    { what: "another normaliser", input: { column: "email_2", normalisers: ["none"] }, generation: { kind: "exact", normaliser: "none" } },
    { what: "another kind", input: { column: "email_2", kind: "last(9)" }, generation: { kind: "last(9)", normaliser: "email" } },
  ])("may have $what, which hold from the moment it is searched", async ({ input, generation }) => {
    const crm = await createSearched();
    const { keystead, database } = crm;
    const searches = ["p8@example.org", "P8@example.org", "ample.org", "xample.org"];
    const answers = async (): Promise<string[][]> =>
      Promise.all(searches.map((search) => found(crm, search).then((ids) => ids.slice(0, 2))));
    const before = await answers();
    expect(before).toEqual([["8"], ["8"], [], []]);
    const { indexes } = await keystead.datasets.startGeneration("crm.person", "email", input);
    expect(indexes[1]).toMatchObject(generation);
    expect(await answers()).toEqual(before);
    await keystead.datasets.index("crm.person");
    expect(await answers()).toEqual(before);
    await keystead.datasets.cutOver("crm.person", "email", 2);
    const after = await answers();
    expect(after).toEqual(
      generation.kind === "exact" ? [["8"], generation.normaliser === "none" ? [] : ["8"], [], []] : searches.map(() => ["1", "2"]),
    );
    const application = await startApplication(keystead, database);
    expect(application.find("email", "P8@example.org").slice(0, 2).map(String)).toEqual(after[1]);
    await keystead.datasets.dropGeneration("crm.person", "email", 1);
    await keystead.datasets.index("crm.person");
    expect(await answers()).toEqual(after);
    const [show] = (await keystead.datasets.show("crm.person")).indexes.filter(({ searched }) => searched);
    expect(show).toMatchObject(generation);
  });

  it("goes on where a paused job stood, after which it is whole", async () => {
    const crm = await createSearched();
    const { datasets } = crm.keystead;
    await datasets.startGeneration("crm.person", "email", { column: "email_2" });
    expect((await datasets.index("crm.person", pauseAt(500).options)).state).toBe("paused");
    expect(await codeOf(datasets.cutOver("crm.person", "email", 2))).toBe("JOB_INCOMPLETE");
    expect(await found(crm, "p8@example.org")).toEqual(["8"]);
    expect((await datasets.index("crm.person")).state).toBe("done");
    expect(countTokens(crm, "email_2")).toBe(rows);
    expect((await datasets.cutOver("crm.person", "email", 2, pauseAt(500).options)).state).toBe("paused");
    expect(await statesOf(crm)).toEqual(["1 live searched email_bi", "2 live email_2"]);
    expect((await datasets.cutOver("crm.person", "email", 2, { dryRun: true })).state).toBe("done");
    expect(await statesOf(crm)).toEqual(["1 live searched email_bi", "2 live email_2"]);
    expect((await datasets.cutOver("crm.person", "email", 2)).state).toBe("done");
    await datasets.dropGeneration("crm.person", "email", 1);
    expect((await datasets.index("crm.person", pauseAt(500).options)).state).toBe("paused");
    expect(await found(crm, "p8@example.org")).toEqual(["8"]);
    await datasets.index("crm.person");
    expect(countTokens(crm, "email_bi")).toBe(0);
  });

  it("waits for a job that works on the dataset", async () => {
    const crm = await createSearched();
    const { datasets } = crm.keystead;
    await datasets.startGeneration("crm.person", "email", { column: "email_2" });
    const attempts: Promise<string>[] = [];
    const onProgress = (): void => {
      if (attempts.length > 0) return;
      attempts.push(
        codeOf(datasets.startGeneration("crm.person", "email", { column: "email_3" })),
        codeOf(datasets.dropGeneration("crm.person", "email", 2)),
        codeOf(datasets.cutOver("crm.person", "email", 2)),
      );
    };
    await datasets.index("crm.person", { onProgress });
    expect(await Promise.all(attempts)).toEqual(["CONFLICT", "CONFLICT", "JOB_INCOMPLETE"]);
  });
});
