import { beforeEach, describe, expect, it } from "vitest";
import type { DatasetIndexInput, DatasetInput } from "../../src/index.ts";
import { type Crm, createCrm, personDataset } from "./support/crm.ts";

const schema =
  "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, email TEXT, mail_bi TEXT, tail_bi TEXT, both_bi TEXT, name_bi TEXT)";
const rows = 16_000;
const mail: DatasetIndexInput = { columns: ["email"], column: "mail_bi", key: "bi", kind: "exact", normalisers: ["email"] };
const tail: DatasetIndexInput = { columns: ["email"], column: "tail_bi", key: "bi", kind: "last(20)", normalisers: ["none"] };
const both: DatasetIndexInput = {
  columns: ["name", "email"],
  column: "both_bi",
  key: "bi",
  kind: "compound",
  normalisers: ["text", "none"],
};
const names: DatasetIndexInput = { columns: ["name"], column: "name_bi", key: "bi", kind: "exact", normalisers: ["text"] };
/** What is right for 16,000 different values alone: most bits with (16,000 − 1) ÷ 2^bits ≥ 2. */
const alone = 12;

let crm: Crm;

async function bitsOf(indexes: NonNullable<DatasetInput["indexes"]>): Promise<Record<string, number>> {
  const added = await crm.keystead.datasets.add("crm.person", personDataset({ name: "pii", email: "pii" }, { indexes }));
  return Object.fromEntries(added.indexes.map(({ index, bits }) => [index, bits]));
}

beforeEach(async () => {
  crm = await createCrm(schema);
  crm.database.exec(
    `WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${String(rows)})
     INSERT INTO person (id, name, email) SELECT i, 'name ' || (i % 4), printf('%020d@example.org', i) FROM n`,
  );
});

describe("the plan of an index", () => {
  it("adds up the bits of the indexes over the same column, in one registration, too", async () => {
    expect(await bitsOf({ mail, tail, names })).toEqual({ mail: alone, tail: 8, names: 8 });
  });

  it("counts those first whose bits are given, wherever they stand", async () => {
    expect(await bitsOf({ mail, tail: { ...tail, bits: 8 } })).toEqual({ mail: 8, tail: 8 });
  });

  it("counts no more bits of an index than its values have", async () => {
    // Four names are 2 bits, however many bits their tokens have.
    expect(await bitsOf({ names: { ...names, bits: 64 }, both })).toEqual({ names: 64, both: alone - 2 });
    const plan = await crm.keystead.datasets.planIndex("crm.person", { columns: ["email"], kind: "exact", normalisers: ["email"] });
    expect(plan.recommended.bits).toBe(8);
  });

  it("counts those that there are when one is added, and leaves those of other columns alone", async () => {
    const { datasets } = crm.keystead;
    await bitsOf({ names: { ...names, bits: 64 } });
    const pair = { columns: ["name", "email"], kind: "compound", normalisers: ["text", "none"] };
    const free = { columns: ["email"], kind: "exact", normalisers: ["email"] };
    expect((await datasets.planIndex("crm.person", free)).recommended.bits).toBe(alone);
    expect((await datasets.planIndex("crm.person", pair)).recommended.bits).toBe(alone - 2);
    expect((await datasets.addIndex("crm.person", "mail", mail)).indexes).toMatchObject([{ index: "mail", bits: alone }, {}]);
    expect((await datasets.addIndex("crm.person", "tail", tail)).indexes).toMatchObject([{}, {}, { index: "tail", bits: 8 }]);
  });

  it("tells the one that is planned from those beside it, by what it holds", async () => {
    await bitsOf({ mail });
    const { datasets } = crm.keystead;
    const again = await datasets.planIndex("crm.person", { columns: ["email"], kind: "exact", normalisers: ["email"] });
    expect(again.recommended.bits).toBe(alone);
    const other = await datasets.planIndex("crm.person", { columns: ["email"], kind: "exact", normalisers: ["none"] });
    expect(other.recommended.bits).toBe(8);
    expect(other.warnings.map(({ message }) => message).join()).toContain("beside the indexes there are");
  });

  it.each([
    ["emial", /"emial".*did you mean email\?$/],
    ["nothing", /"nothing".*protected are name, email$/],
    ["mail_bi", /"mail_bi"/],
    ["id", /"id"/],
    ["", /""/],
  ])("is refused for the column %j, which is not protected", async (column, words) => {
    await bitsOf({});
    const { datasets } = crm.keystead;
    const attempt = datasets.planIndex("crm.person", { columns: ["name", column], kind: "compound", normalisers: ["text", "text"] });
    await expect(attempt).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringMatching(words) as unknown });
    await expect(datasets.addIndex("crm.person", "other", { ...mail, columns: ["emial"] })).rejects.toThrow("did you mean email?");
  });
});
