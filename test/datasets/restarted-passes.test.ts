import { expect, it } from "vitest";
import { codeOf } from "../support/test-keystead.ts";
import { createCrm, personDataset, queryNumber } from "./support/crm.ts";

const columns = "(id INTEGER, part TEXT, name, PRIMARY KEY (id, part))";
const fill = "WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 700) INSERT INTO person SELECT i, 'a', 'plain ' || i FROM n";

it("a pass is not begun anew for ever: a table that is made anew all the time ends the job, which then goes on", async () => {
  const { keystead, database } = await createCrm(`CREATE TABLE person ${columns}`);
  database.exec(fill);
  await keystead.datasets.add("crm.person", personDataset({ name: "pii" }, { keyColumns: ["id", "part"] }));
  const pages: number[] = [];
  const onProgress = ({ scanned }: { scanned: number }): void => {
    pages.push(scanned);
    if (pages.length > 100) throw new Error("it goes on for ever");
    const kind = pages.length % 2 === 1 ? "WITHOUT ROWID" : "";
    database.exec(`DROP TABLE person; CREATE TABLE person ${columns} ${kind}; ${fill}`);
  };
  const job = keystead.datasets.protect("crm.person", { onProgress });
  await expect(job).rejects.toThrow(/made anew .* run the job again/);
  expect(await codeOf(job)).toBe("JOB_INCOMPLETE");
  expect(pages.length).toBeLessThanOrEqual(20);
  expect(await keystead.jobs.show("crm.person")).toMatchObject({ state: "paused", workers: [] });
  expect(await keystead.datasets.protect("crm.person")).toMatchObject({ state: "done", progress: { scanned: 700 } });
  expect(queryNumber(database, "SELECT count(*) FROM person WHERE name LIKE 'ks1:%'")).toBe(700);
});
