import { chmodSync, chownSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Keystead } from "../../../src/index.ts";
import { createTestDatabase, type TestDatabase } from "../../support/postgres-database.ts";
import { PostgresServer } from "../../support/postgres-server.ts";
import { mountSmallDisk, needsMount } from "../../support/small-disk.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";
import { failureOf } from "./database.ts";

const rows = 2_000;
const dataset = "crm.person";
type Queried = Pick<TestDatabase, "query">;

/** Registers `person (id, name)` with its rows, in plaintext. */
async function createPersons(database: Queried, url: string, table = ""): Promise<Keystead> {
  await database.query(`create table person(id int primary key, name text) ${table}`);
  await database.query("insert into person select i, 'name ' || i from generate_series(1, $1::int) i", [rows]);
  const { keystead } = await createTestKeystead({ databases: { crm: url } });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.datasets.add(dataset, { database: "crm", table: "person", keyColumns: ["id"], columns: { name: { key: "pii" } } });
  return keystead;
}

/** The job is run again to its end, and every row opens to its value. */
async function expectWhole(keystead: Keystead, database: Queried, work = () => keystead.datasets.protect(dataset)): Promise<void> {
  const { state, progress, census } = await work();
  expect({ state, problems: progress.problems }).toEqual({ state: "done", problems: 0 });
  expect(census?.columns).toMatchObject([{ plaintext: 0, versions: [{ standing: "current", count: rows }] }]);
  for (const { id, name } of await database.query("select id, name from person")) {
    const context = { dataset, "row.id": String(id), column: "name" };
    expect(await keystead.decryptValue(String(name), { context })).toBe(`name ${String(id)}`);
  }
}

async function testDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  return database;
}

/** A server of the test's own, and its only database. */
async function startServer(): Promise<{ readonly server: PostgresServer; readonly url: string; readonly database: Queried }> {
  const server = await PostgresServer.start();
  const url = server.url("postgres");
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  // Of connections that end with the server.
  pool.on("error", () => undefined);
  onTestFinished(async () => {
    await pool.end();
    await server.stop();
  });
  const database: Queried = {
    query: async (sql, parameters = []) => (await pool.query<Record<string, unknown>>(sql, [...parameters])).rows,
  };
  return { server, url, database };
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

const sessions = "from pg_stat_activity where application_name = 'keystead dataset' and datname = current_database()";

/** What becomes of a job when `fault` happens while it waits, in its second page, for a row that the application has locked. */
async function failureDuring(database: TestDatabase, job: () => Promise<unknown>, fault: string): Promise<string> {
  const application = await connect(database.url);
  await application.query("begin; select from person where id = 700 for update");
  const failure = failureOf(job());
  await expect.poll(async () => (await database.query(`select ${sessions} and wait_event_type = 'Lock'`)).length).toBe(1);
  await database.query(fault);
  await application.query("rollback");
  return await failure;
}

describe("jobs on PostgreSQL tables where something fails", () => {
  it("stop with a clear error when a grant is revoked, and go on when it is back", async () => {
    const database = await testDatabase();
    await database.query("do $$ begin create role limited login; exception when duplicate_object then null; end $$");
    const grant = "grant select, update on person to limited";
    const keystead = await createPersons(database, database.url.replace("postgres@", "limited@"), `; ${grant}`);
    const failure = await failureDuring(database, () => keystead.datasets.protect(dataset), "revoke update on person from limited");
    expect(failure).toMatch(/^DATABASE_FAILED: .*GRANT USAGE on the schema and SELECT, UPDATE on the table/);
    expect(await database.query("select from person where name like 'ks1:%'")).toHaveLength(1000);
    await database.query(grant);
    await expectWhole(keystead, database);
  });

  it("stop with a clear error when the connection is lost in the middle of a page, and go on", async () => {
    const database = await testDatabase();
    const keystead = await createPersons(database, database.url);
    const failure = await failureDuring(database, () => keystead.datasets.protect(dataset), `select pg_terminate_backend(pid) ${sessions}`);
    expect(failure).toMatch(/^DATABASE_FAILED: .*can't be reached/);
    expect(await database.query("select from person where name like 'ks1:%'")).toHaveLength(500);
    await expectWhole(keystead, database);
  });

  it("leave a row that stays locked to the next pass, and the others do not wait for it", async () => {
    const database = await testDatabase();
    const keystead = await createPersons(database, `${database.url}?lock_timeout=20`);
    const application = await connect(database.url);
    await application.query("begin; select from person where id = 700 for update");
    let released: Promise<unknown> | undefined;
    const onProgress = ({ pass }: { pass: number }): void => {
      if (pass > 1) released ??= application.query("rollback");
    };
    await expectWhole(keystead, database, () => keystead.datasets.protect(dataset, { onProgress }));
    expect(released).toBeDefined();
  });

  it("report one damaged value among all, and do the others", async () => {
    const database = await testDatabase();
    const keystead = await createPersons(database, database.url);
    await keystead.datasets.protect(dataset);
    await keystead.keys.rotate("pii");
    const damage =
      "update person set name = left(name, -4) || case right(name, 4) when 'AAAA' then 'BBBB' else 'AAAA' end where id = 1234 returning name";
    const [sound] = await database.query("select name from person where id = 1234");
    await database.query(damage);
    const { state, progress } = await keystead.datasets.reencrypt(dataset);
    expect({ state, progress }).toMatchObject({ state: "done", progress: { values: rows - 1, problems: 1 } });
    expect(progress.firstProblems).toMatchObject([{ row: { id: "1234" }, column: "name", code: "DECRYPTION_FAILED" }]);
    await database.query("update person set name = $1 where id = 1234", [sound?.["name"]]);
    await expectWhole(keystead, database, () => keystead.datasets.reencrypt(dataset));
  });

  it("stop when the disk is full, and go on when there is room", async (context) => {
    const disk = mountSmallDisk("256k");
    if (disk === undefined) return context.skip(needsMount);
    const { url, database } = await startServer();
    const [{ data_directory: cluster } = {}] = await database.query("show data_directory");
    const { uid, gid } = statSync(String(cluster));
    chmodSync(dirname(disk.path), 0o755);
    chownSync(disk.path, uid, gid);
    await database.query(`create tablespace small location '${disk.path}'`);
    const keystead = await createPersons(database, url, "tablespace small");
    expect(await failureOf(keystead.datasets.protect(dataset))).toMatch(/^DATABASE_FAILED: .*the disk is full: free some space/);
    disk.remount("size=64m");
    await expectWhole(keystead, database);
  });

  it("are refused on a standby", async () => {
    const { server, url, database } = await startServer();
    const keystead = await createPersons(database, url);
    const [{ data_directory: cluster } = {}] = await database.query("show data_directory");
    await server.kill();
    writeFileSync(join(String(cluster), "standby.signal"), "");
    await server.restart();
    for (const work of [() => keystead.datasets.protect(dataset), () => keystead.datasets.takeCensus(dataset)]) {
      expect(await failureOf(work())).toMatch(/^DATABASE_FAILED: .*is a standby, whose contents are late: let the URL lead to the primary/);
    }
  });
});
