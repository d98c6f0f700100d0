import { beforeEach, describe, expect, it } from "vitest";
import type { DatasetIndexInput } from "../../src/index.ts";
import { type Crm, createCrm, personDataset } from "./support/crm.ts";

const schema =
  "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, email TEXT, mail_bi TEXT, tail_bi TEXT, both_bi TEXT, name_bi TEXT)";
const rows = 16_000;
const mail: DatasetIndexInput = { columns: ["email"], column: "mail_bi", key: "bi", kind: "exact", normalisers: ["email"] };

let crm: Crm;

beforeEach(async () => {
  crm = await createCrm(schema);
  crm.database.exec(
    `WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${String(rows)})
     INSERT INTO person (id, name, email) SELECT i, 'name ' || (i % 4), printf('%020d@example.org', i) FROM n`,
  );
});

describe("the plan of an index", () => {
  it.each([
    ["emial", /"emial".*did you mean email\?$/],
    ["nothing", /"nothing".*protected are name, email$/],
    ["mail_bi", /"mail_bi"/],
    ["id", /"id"/],
    ["", /""/],
  ])("is refused for the column %j, which is not protected", async (column, words) => {
    const { datasets } = crm.keystead;
    await datasets.add("crm.person", personDataset({ name: "pii", email: "pii" }));
    const attempt = datasets.planIndex("crm.person", { columns: ["name", column], kind: "compound", normalisers: ["text", "text"] });
    await expect(attempt).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringMatching(words) as unknown });
    await expect(datasets.addIndex("crm.person", "other", { ...mail, columns: ["emial"] })).rejects.toThrow("did you mean email?");
  });
});
