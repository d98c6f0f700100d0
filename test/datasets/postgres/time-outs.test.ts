import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Keystead } from "../../../src/index.ts";
import { createTestDatabase, type TestDatabase } from "../../support/postgres-database.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";
import { failureOf } from "./database.ts";

const rows = 1_200;
const dataset = "crm.person";
/** Milliseconds. */
const short = 400;

/** Registers `person (id, name)` with its rows, of which each takes a millisecond to write while table `slow` has a row. */
async function createPersons(parameters = ""): Promise<{ readonly database: TestDatabase; readonly keystead: Keystead }> {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query(
    `create table person(id int primary key, name text, replaced int not null default 0);
     create table slow(id int);
     insert into slow values (1);
     create function work() returns trigger language plpgsql as
       'begin if exists (select from slow) then perform pg_sleep(0.001); end if; new.replaced = old.replaced + 1; return new; end';
     create trigger work before update on person for each row execute function work()`,
  );
  await database.query("insert into person select i, 'name ' || i from generate_series(1, $1::int) i", [rows]);
  const { keystead } = await createTestKeystead({ databases: { crm: `${database.url}${parameters}` } });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.datasets.add(dataset, { database: "crm", table: "person", keyColumns: ["id"], columns: { name: { key: "pii" } } });
  return { database, keystead };
}

/** Every row was replaced once, and opens to its value. */
async function expectWhole(keystead: Keystead, database: TestDatabase): Promise<void> {
  const { columns } = await keystead.datasets.takeCensus(dataset);
  expect(columns).toMatchObject([{ plaintext: 0, versions: [{ standing: "current", count: rows }] }]);
  expect(await database.query("select distinct replaced from person")).toEqual([{ replaced: 1 }]);
  const key = await keystead.open("pii");
  for (const { id, name } of await database.query("select id, name from person")) {
    expect(key.decryptValue(String(name), { dataset, "row.id": String(id), column: "name" })).toBe(`name ${String(id)}`);
  }
  await key.close();
}

describe("statement_timeout", () => {
  it("of the database is not that of a job: the URL's is", async () => {
    const { database, keystead } = await createPersons();
    const [{ name } = {}] = await database.query("select current_database() as name");
    await database.query(`alter database ${String(name)} set statement_timeout = ${String(short)}`);
    expect(await keystead.datasets.protect(dataset)).toMatchObject({ state: "done", progress: { problems: 0 } });
    await expectWhole(keystead, database);
  });

  it("that a page exceeds ends the job with an error that names the remedies, and each of them lets it go on", async () => {
    const { database, keystead } = await createPersons(`?statement_timeout=${String(short)}`);
    for (let run = 1; run <= 2; run += 1) {
      expect(await failureOf(keystead.datasets.protect(dataset))).toMatch(
        /^DATABASE_FAILED: .* a statement took longer than statement_timeout: .*so low a rate that pages are smaller.*the URL a larger one/,
      );
      expect(await database.query("select from person where replaced > 0")).toEqual([]);
      expect(await keystead.jobs.show(dataset)).toMatchObject({ state: "paused", workers: [], progress: { replaced: 0 } });
    }
    const controller = new AbortController();
    const onProgress = ({ scanned }: { scanned: number }): void => {
      if (scanned >= 300) controller.abort();
    };
    const slowly = await keystead.jobs.resume(dataset, { rowsPerSecond: 50, signal: controller.signal, onProgress });
    expect(slowly).toMatchObject({ state: "paused", progress: { scanned: 300, replaced: 300 } });
    await database.query("delete from slow");
    expect(await keystead.datasets.protect(dataset)).toMatchObject({ id: slowly.id, state: "done", progress: { replaced: rows } });
    await expectWhole(keystead, database);
  });

  it("that is shorter than lock_timeout still leaves a locked row to the next pass", async () => {
    const { database, keystead } = await createPersons("?statement_timeout=2000&lock_timeout=5000");
    await database.query("delete from slow");
    const application = new pg.Client({ connectionString: database.url });
    await application.connect();
    onTestFinished(() => application.end());
    await application.query("begin; select from person where id = 700 for update");
    let released: Promise<unknown> | undefined;
    const onProgress = ({ pass }: { pass: number }): void => {
      if (pass > 1) released ??= application.query("rollback");
    };
    expect(await keystead.datasets.protect(dataset, { onProgress })).toMatchObject({ state: "done", progress: { problems: 0 } });
    expect(released).toBeDefined();
    await expectWhole(keystead, database);
  });
});
