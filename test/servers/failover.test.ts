import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { initKeystead, type Keystead, type KeysteadOptions } from "../../src/index.ts";
import { systemClock } from "../../src/clock.ts";
import { openStore } from "../../src/store/open-store.ts";
import { startChild } from "../support/child.ts";
import { PostgresServer } from "../support/postgres-server.ts";
import { Spoken } from "./support/spoken.ts";
import { day, TestClock } from "../support/test-clock.ts";
import { codeOf, fileStore, openTestKeystead, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";

interface Cluster {
  readonly primary: PostgresServer;
  readonly standby: PostgresServer;
  /** A database, wherever the primary is. */
  readonly url: (database: string) => string;
}

async function startCluster(): Promise<Cluster> {
  const primary = await PostgresServer.start({ fsync: true });
  onTestFinished(() => primary.stop());
  const standby = await primary.startStandby("second");
  onTestFinished(() => standby.stop());
  await until(async () => (await rows(primary, "select from pg_stat_replication where replay_lsn is not null")).length === 1);
  const hosts = [primary, standby].map(({ port }) => `127.0.0.1:${String(port)}`).join(",");
  return { primary, standby, url: (database) => `postgresql://postgres@${hosts}/${database}?target_session_attrs=read-write` };
}

async function rows(server: PostgresServer, sql: string, database = "postgres"): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: server.url(database) });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(20);
}

/** Waits until the standby has everything. */
async function caughtUp(primary: PostgresServer): Promise<void> {
  await until(async () => (await rows(primary, "select from pg_stat_replication where replay_lsn >= pg_current_wal_lsn()")).length === 1);
}

/** From here on the standby receives nothing. It is not attached any more, so nobody waits for it. */
async function detach({ primary, standby }: Cluster): Promise<void> {
  await standby.run("postgres", "alter system set primary_conninfo = 'host=127.0.0.1 port=1'");
  await standby.run("postgres", "select pg_reload_conf()");
  await until(async () => (await rows(primary, "select from pg_stat_replication")).length === 0);
}

async function newKeystead(options: KeysteadOptions, refreshBound = 20): Promise<Keystead> {
  const keystead = await initKeystead({ ...options, settings: { refreshBound } });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  return keystead;
}

/** Rows of `person` in this database that don't open to what was written, or are not ciphertext. */
async function wrongRows(keystead: Keystead, server: PostgresServer, database: string): Promise<Record<string, unknown>[]> {
  const key = await keystead.open("pii", { dataset: "crm.person" });
  const found = await rows(server, "select id, email from person order by id", database);
  await key.refresh();
  const wrong = found.filter(({ id, email }) => {
    const context = { dataset: "crm.person", "row.id": String(id), column: "email" };
    return key.decryptValue(String(email), context) !== `p${String(id)}@example.org`;
  });
  await key.close();
  return wrong;
}

const person = { table: "person", keyColumns: ["id"], columns: { email: { key: "pii" } }, indexes: {} };

describe("a primary that is killed and its standby promoted", () => {
  it(
    "in the middle of rotations and jobs: no version that sealed anything is lost, and none is there twice",
    { timeout: 300_000 },
    async () => {
      const { primary, standby, url } = await startCluster();
      await primary.run("postgres", "create table person (id bigint primary key, email text not null)");
      const people = 2_000;
      await primary.run("postgres", `insert into person select n, 'p' || n || '@example.org' from generate_series(1, ${String(people)}) n`);
      const options = {
        store: url("postgres"),
        databases: { crm: url("postgres").replace("?target_session_attrs=read-write", "") },
        masterKeys: testMasterKeys,
        auditDirectory: join(temporaryFolder(), "audit"),
      };
      // A rotation takes at least that long, so it is seen at work.
      const first = await newKeystead(options, 1_000);
      await first.datasets.add("crm.person", { ...person, database: "crm" });
      await first.datasets.protect("crm.person");
      await first.close();

      const program = new URL("failover-process.ts", import.meta.url);
      const start = () => new Spoken(startChild(program, [options.store, options.databases.crm, join(temporaryFolder(), "audit")]));
      const [rotating, moving] = [start(), start()];
      await rotating.until(() => rotating.sealed.length > 10);
      await moving.until(() => moving.sealed.length > 10);
      expect(await rotating.perform("rotate")).toBe("done");
      // Every row is of an old version now.
      const job = moving.begin("reencrypt");
      await job.isUnderWay;
      const rotation = rotating.begin("rotate");
      await rotation.isUnderWay;

      const killedAt = Date.now();
      await primary.kill();
      await standby.promote();

      for (const { isOver } of [job, rotation]) {
        const { begin, end } = await isOver;
        expect(begin).toBeLessThanOrEqual(killedAt);
        expect(end).toBeGreaterThan(killedAt);
      }
      for (const spoken of [rotating, moving]) {
        const { length } = spoken.sealed;
        await spoken.until(() => spoken.sealed.length > length + 10);
      }
      expect(await rotating.perform("rotate")).toBe("done");
      expect(await moving.perform("reencrypt")).toBe("done, 0 problems");
      const sealedValues = (await Promise.all([rotating.stop(), moving.stop()])).flat();

      const after = await openTestKeystead({ ...options, auditDirectory: join(temporaryFolder(), "audit") });
      for (const { sealed, value } of sealedValues) expect(await after.decryptText(sealed)).toBe(value);
      const { versions } = await after.keys.show("pii");
      expect(new Set(versions.map(({ version }) => version)).size).toBe(versions.length);
      const labels = new Set(sealedValues.map(({ sealed }) => sealed.split(":")[2]));
      expect([...labels].filter((label) => !versions.some((version) => version.label === label))).toEqual([]);
      expect((await after.doctor.examine()).filter(({ check, status }) => check === "metadata" && status !== "good")).toEqual([]);
      // Before another job has been over them, and after.
      expect(await wrongRows(after, standby, "postgres")).toEqual([]);
      expect(await after.datasets.reencrypt("crm.person")).toMatchObject({ state: "done", progress: { problems: 0 } });
      expect(await wrongRows(after, standby, "postgres")).toEqual([]);
      const { columns } = await after.datasets.takeCensus("crm.person");
      expect(columns).toMatchObject([{ plaintext: 0, nulls: 0, versions: [{ standing: "current", count: people }] }]);
    },
  );

  it("without the newest transactions: that is noticed, and the census names what is lost", async () => {
    const { primary, standby, url } = await startCluster();
    const folder = temporaryFolder();
    const crm = new DatabaseSync(join(folder, "crm.db"));
    crm.exec(
      "create table person (id integer primary key, email text); insert into person values (1, 'a@example.org'), (2, 'b@example.org')",
    );
    crm.close();
    const options = {
      store: url("postgres"),
      databases: { crm: `sqlite:${join(folder, "crm.db")}` },
      masterKeys: testMasterKeys,
      auditDirectory: join(folder, "audit"),
    };
    const keystead = await newKeystead(options);
    await keystead.datasets.add("crm.person", { ...person, database: "crm" });
    await keystead.datasets.protect("crm.person");
    await keystead.encrypt("pii", "x");
    await keystead.audit.flush();
    const store = await openStore(options.store, { clock: systemClock });
    await store.replicated?.(10_000);
    await store.close();
    await detach({ primary, standby, url });
    await keystead.keys.rotate("pii", { reason: "unlucky" });
    await keystead.datasets.reencrypt("crm.person");
    const lost = await keystead.encrypt("pii", "lost");
    const { label } = (await keystead.keys.show("pii")).versions[1] ?? { label: "" };
    await keystead.audit.flush();

    await primary.kill();
    await standby.promote();

    // The process that was open notices at once, and its remedy is to be started again.
    await expect(keystead.keys.rotate("pii")).rejects.toMatchObject({
      code: "STORE_RESTORED",
      message: expect.stringContaining("close it") as string,
    });
    await keystead.close().catch(() => undefined);
    const restarted = await openTestKeystead(options);
    const history = (await restarted.doctor.examine()).filter(({ check }) => check === "store history");
    expect(history.map(({ status }) => status)).toContain("failed");
    await restarted.keys.rotate("pii");
    const { versions } = await restarted.keys.show("pii");
    expect(versions.map(({ version }) => version)).toEqual([1, 2]);
    expect(versions[1]?.label).not.toBe(label);
    expect(await codeOf(restarted.decrypt(lost))).toBe("UNKNOWN_FINGERPRINT");
    // Both values of the dataset are of the version that only the dead primary has.
    expect(await restarted.datasets.census("pii")).toContainEqual({ version: label, count: 2 });
    const datasets = (await restarted.doctor.examine()).filter(({ check }) => check === "datasets");
    expect(datasets.map(({ message }) => message).join("\n")).toContain("crm.person");
    expect((await restarted.datasets.reencrypt("crm.person")).state).not.toBe("failed");
    await restarted.audit.acceptRestoredStore();
    expect(await restarted.encrypt("pii", "new")).toContain(versions[1]?.label);
  });
});

/** A dataset whose standby lacks what jobs did last: rows that are current on the primary are plaintext or of version 1 on the standby. */
async function createStale(): Promise<Cluster & { readonly keystead: Keystead; readonly clock: TestClock }> {
  const cluster = await startCluster();
  const { primary, url } = cluster;
  const insert = (from: number, to: number): Promise<void> =>
    primary.run(
      "postgres",
      `insert into person select n, 'p' || n || '@example.org' from generate_series(${String(from)}, ${String(to)}) n`,
    );
  await primary.run("postgres", "create table person (id bigint primary key, email text not null)");
  await insert(1, 10);
  const clock = new TestClock();
  const databases = { crm: url("postgres").replace("?target_session_attrs=read-write", "") };
  const keystead = await newKeystead({ ...fileStore(temporaryFolder()), clock, databases });
  onTestFinished(() => keystead.close());
  await keystead.datasets.add("crm.person", { ...person, database: "crm" });
  await keystead.datasets.protect("crm.person");
  await insert(11, 15);
  await caughtUp(primary);
  await detach(cluster);
  await keystead.datasets.protect("crm.person");
  await keystead.keys.rotate("pii");
  expect(await keystead.datasets.reencrypt("crm.person")).toMatchObject({ state: "done", progress: { problems: 0, values: 15 } });
  expect(await standings(keystead)).toEqual({ plaintext: 0, current: 15 });
  return { ...cluster, keystead, clock };
}

/** How many values a fresh census counts, by their standing. */
async function standings(keystead: Keystead): Promise<Record<string, number>> {
  const { columns } = await keystead.datasets.takeCensus("crm.person");
  const counts = columns.flatMap(({ versions }) => versions.map(({ standing, count }) => [standing, count] as const));
  return { plaintext: columns[0]?.plaintext ?? 0, ...Object.fromEntries(counts) };
}

/** What the doctor says of datasets. */
async function datasetFindings(keystead: Keystead): Promise<string[]> {
  const findings = await keystead.doctor.examine();
  return findings.filter(({ check }) => check === "datasets").map(({ status, message }) => `${status}: ${message}`);
}

describe("a dataset on a standby that was promoted without the newest transactions", () => {
  it("names what came back, whatever job was done; until that is moved its version does not die", async () => {
    const { primary, standby, keystead, clock } = await createStale();
    expect(await keystead.keys.destroy("pii", 1)).toMatchObject({ status: "scheduled" });
    clock.advance(8 * day);
    await keystead.refresh();

    await primary.kill();
    await standby.promote();

    // The job is remembered as done; what counts the rows is not deceived.
    expect(await keystead.jobs.show("crm.person")).toMatchObject({ kind: "reencrypt", state: "done" });
    expect(await standings(keystead)).toEqual({ plaintext: 5, old: 10 });
    const findings = (await datasetFindings(keystead)).join("\n");
    expect(findings).toContain(
      "warning: crm.person holds 5 plaintext values; run `keystead datasets protect crm.person`; what another system encrypted is taken in by `keystead datasets reencrypt crm.person --from CODEC` instead",
    );
    expect(findings).toContain("warning: crm.person holds 10 values of old versions; run `keystead datasets reencrypt crm.person`");
    // The waiting time is over, and yet.
    await expect(keystead.keys.destroy("pii", 1)).rejects.toMatchObject({
      code: "VERSION_IN_USE",
      message: expect.stringContaining("10 values in dataset crm.person") as string,
    });
    expect(await keystead.datasets.protect("crm.person")).toMatchObject({ state: "done", progress: { problems: 0, values: 5 } });
    expect(await keystead.datasets.reencrypt("crm.person")).toMatchObject({ state: "done", progress: { problems: 0, values: 10 } });
    expect(await standings(keystead)).toEqual({ plaintext: 0, current: 15 });
    expect(await wrongRows(keystead, standby, "postgres")).toEqual([]);
    expect(await keystead.keys.destroy("pii", 1)).toMatchObject({ status: "destroyed" });
    expect(await wrongRows(keystead, standby, "postgres")).toEqual([]);
  });

  it("whose version was destroyed before: says that nothing opens these values, and takes them back from the old primary", async () => {
    const { primary, standby, keystead, clock } = await createStale();
    await keystead.keys.destroy("pii", 1);
    clock.advance(8 * day);
    // Nobody sees from the primary what a standby lacks that is not attached.
    expect(await keystead.keys.destroy("pii", 1)).toMatchObject({ status: "destroyed" });

    await primary.kill();
    await standby.promote();

    expect(await standings(keystead)).toEqual({ plaintext: 5, destroyed: 10 });
    const { label } = (await keystead.keys.show("pii")).versions[0] ?? { label: "" };
    const findings = (await datasetFindings(keystead)).join("\n");
    expect(findings).toContain(`failed: crm.person holds 10 values of versions that were destroyed (pii:${label})`);
    expect(findings).not.toContain("old versions");
    expect(await keystead.datasets.protect("crm.person")).toMatchObject({ state: "done", progress: { values: 5 } });
    const { state, progress } = await keystead.datasets.reencrypt("crm.person");
    expect({ state, problems: progress.problems, codes: new Set(progress.firstProblems.map(({ code }) => code)) }).toEqual({
      state: "done",
      problems: 10,
      codes: new Set(["KEY_STATE"]),
    });

    // Apart, where no application finds it.
    await primary.restart();
    expect(await wrongRows(keystead, primary, "postgres")).toEqual([]);
    for (const { id, email } of await rows(primary, "select id, email from person where id <= 10")) {
      await standby.run("postgres", `update person set email = '${String(email)}' where id = ${String(id)}`);
    }
    expect(await standings(keystead)).toEqual({ plaintext: 0, current: 15 });
    expect(await wrongRows(keystead, standby, "postgres")).toEqual([]);
    expect(await datasetFindings(keystead)).toEqual(["good: nothing to report"]);
  });
});
