import { expect, it } from "vitest";
import { codeOf } from "../support/test-keystead.ts";
import { everywhere } from "./support/everywhere.ts";
import { outcome } from "./support/outcome.ts";
import { emailIndex, openPersons, personDataset } from "./support/persons.ts";

everywhere("datasets", (openPlace) => {
  it("registers a table, and plans an index of it", async () => {
    const { api } = await openPersons(openPlace);
    const added = await api.datasets.add("crm.person", { ...personDataset, indexes: { email: emailIndex } });
    expect(added).toMatchObject({ name: "crm.person", table: "person", keyColumns: ["id"], rows: 50 });
    expect(added.indexes).toMatchObject([{ index: "email", generation: 1, state: "building", searched: true, bits: 32 }]);
    const { rows: _, advice: __, ...info } = added;
    expect(await api.datasets.show("crm.person")).toEqual(info);
    expect(await api.datasets.list()).toEqual([info]);
    expect(await codeOf(api.datasets.show("elsewhere"))).toBe("UNKNOWN_DATASET");
    expect(await codeOf(api.datasets.add("crm.person", personDataset))).toBe("NAME_TAKEN");
    expect(await codeOf(api.datasets.add("x", { ...personDataset, database: "elsewhere" }))).toBe("UNKNOWN_DATABASE");
    expect(await codeOf(api.datasets.add("x", { ...personDataset, table: "elsewhere" }))).toBe("DATASET_UNSUITABLE");
    const planned = { columns: ["email"], kind: "exact", normalisers: ["email"] };
    const plan = await api.datasets.planIndex("crm.person", planned);
    expect(plan).toMatchObject({ rows: 50, indexedRows: 50, distinctValues: 50, largestValueRows: 1, exact: true });
    expect(plan.choices).toContainEqual(plan.recommended);
    expect(await codeOf(api.datasets.planIndex("crm.person", { ...planned, kind: "unknown" }))).toBe("INVALID_ARGUMENT");
  });

  it("protects a table, finds what is in it, and moves it", async () => {
    const { api } = await openPersons(openPlace);
    await api.datasets.add("crm.person", { ...personDataset, indexes: { email: emailIndex } });
    expect(await codeOf(api.datasets.find("crm.person", "email", ["person7@example.org"]))).toBe("JOB_INCOMPLETE");
    const progress: number[] = [];
    const result = await api.datasets.protect("crm.person", { onProgress: ({ scanned }) => progress.push(scanned) });
    expect(result).toMatchObject({
      state: "done",
      kind: "protect",
      progress: { replaced: 50, problems: 0 },
      census: { dataset: "crm.person" },
    });
    expect(result.remains?.join()).toContain("VACUUM");
    expect(progress.at(-1)).toBe(50);
    expect(await api.datasets.find("crm.person", "email", ["PERSON7@example.org"])).toEqual({
      rows: [{ row: { id: "7" }, values: { email: "person7@example.org" }, unopened: {} }],
      complete: true,
      more: false,
      unopenedRows: 0,
      firstUnopened: [],
    });
    expect(await codeOf(api.datasets.find("crm.person", "unknown", ["x"]))).toBe("INVALID_ARGUMENT");
    const tokens = await api.datasets.tokens("crm.person", "email", ["person7@example.org"]);
    expect(tokens).toMatchObject([{ column: "email_index", tokens: [expect.any(String)] }]);
    const search = { dataset: "crm.person", index: "email", values: ["Person7@example.org"] };
    const many = await api.datasets.tokensMany([search, { ...search, dataset: "elsewhere" }, { ...search, values: [] }]);
    expect(many.map(outcome)).toEqual(["ok", "UNKNOWN_DATASET", "INVALID_ARGUMENT"]);
    expect(many[0]).toEqual(tokens);
    expect(await codeOf(api.datasets.tokens("elsewhere", "email", ["x"]))).toBe("UNKNOWN_DATASET");
    await api.keys.rotate("k");
    expect((await api.datasets.reencrypt("crm.person", { rowsPerSecond: 100_000 })).progress).toMatchObject({ replaced: 50 });
    expect(await codeOf(api.datasets.reencrypt("crm.person", { from: "unknown" }))).toBe("UNKNOWN_CODEC");
    const [old, current] = await api.datasets.census("k");
    expect([old?.count, current?.count]).toEqual([0, 50]);
    expect(await codeOf(api.datasets.census("nobody"))).toBe("UNKNOWN_KEY");
  });

  it("looks at every row, and reports those that do not open", async () => {
    const { api, database } = await openPersons(openPlace);
    await api.datasets.add("crm.person", { ...personDataset, indexes: { email: emailIndex } });
    await api.datasets.protect("crm.person");
    database.exec("update person set email = (select email from person where id = 2) where id = 1; update person set email_index = null");
    const told: unknown[] = [];
    const looked = await api.datasets.verify("crm.person", { onProblems: (problems) => told.push(...problems) });
    expect(looked).toMatchObject({ kind: "verify", state: "done", progress: { scanned: 50, replaced: 0, problems: 1, unopened: 1 } });
    expect(looked.progress.firstProblems).toMatchObject([{ row: { id: "1" }, column: "email", code: "DECRYPTION_FAILED" }]);
    expect(told).toEqual(looked.progress.firstProblems);
    const { columns, indexes } = await api.datasets.takeCensus("crm.person");
    expect(columns).toMatchObject([{ column: "email", plaintext: 0, nulls: 0, versions: [{ key: "k", count: 50, standing: "current" }] }]);
    expect(indexes).toMatchObject([{ index: "email", column: "email_index", none: 50 }]);
    expect(await codeOf(api.datasets.takeCensus("elsewhere"))).toBe("UNKNOWN_DATASET");
    const indexed = await api.datasets.index("crm.person");
    expect(indexed).toMatchObject({ kind: "index", state: "done", progress: { replaced: 49, values: 0, problems: 1 } });
    expect(await codeOf(api.datasets.verify("elsewhere"))).toBe("UNKNOWN_DATASET");
    expect(await codeOf(api.datasets.index("crm.person", { rowsPerSecond: 0 }))).toBe("INVALID_ARGUMENT");
  });

  it("moves values to another context, and gives them back as they were", async () => {
    const { api, database } = await openPersons(openPlace);
    await api.datasets.add("crm.person", personDataset);
    await api.datasets.protect("crm.person");
    const context = { app: "crm", row: "{id}" };
    expect(await codeOf(api.datasets.recontext("crm.person", undefined))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(api.datasets.recontext("crm.person", { row: "{nothing}" }))).toBe("DATASET_UNSUITABLE");
    const tried = await api.datasets.recontext("crm.person", context, { dryRun: true });
    expect(tried).toMatchObject({ dryRun: true, state: "done", progress: { replaced: 50 } });
    expect((await api.datasets.show("crm.person")).context).not.toEqual(context);
    const moved = await api.datasets.recontext("crm.person", context, { contextTypes: { id: "integer" } });
    expect(moved).toMatchObject({ kind: "recontext", dryRun: false, state: "done", progress: { problems: 0 } });
    expect(await api.datasets.show("crm.person")).toMatchObject({ context, contextTypes: { id: "integer" } });
    const { email } = { ...database.prepare("select email from person where id = 7").get() };
    expect(await api.decryptValue(String(email), { context: { app: "crm", row: "7", column: "email" } })).toBe("person7@example.org");
    expect(await api.datasets.unprotect("crm.person")).toMatchObject({ kind: "unprotect", state: "done", progress: { replaced: 50 } });
    expect(database.prepare("select email from person where id = 7").get()).toEqual({ email: "person7@example.org" });
    expect(await codeOf(api.datasets.unprotect("elsewhere"))).toBe("UNKNOWN_DATASET");
  });
});
