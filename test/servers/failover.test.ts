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
import { codeOf, openTestKeystead, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";

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

async function newKeystead(options: KeysteadOptions): Promise<Keystead> {
  const keystead = await initKeystead({ ...options, settings: { refreshBound: 20 } });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  return keystead;
}

const person = { table: "person", keyColumns: ["id"], columns: { email: { key: "pii" } }, indexes: {} };

describe("a primary that is killed and its standby promoted", () => {
  it("in the middle of rotations and jobs: no version that sealed anything is lost, and none is there twice", async () => {
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
    const first = await newKeystead(options);
    await first.datasets.add("crm.person", { ...person, database: "crm" });
    await first.datasets.protect("crm.person");
    await first.close();

    const program = new URL("failover-process.ts", import.meta.url);
    const folders = [1, 2].map(() => join(temporaryFolder(), "audit"));
    const children = folders.map((folder) => startChild(program, [options.store, options.databases.crm, folder]));
    const lines = children.map(() => [] as string[]);
    const reading = children.map(async (child, index) => {
      for (let line = await child.nextLine(); line !== undefined; line = await child.nextLine()) lines[index]?.push(line);
    });
    const sealedOf = (): { readonly sealed: string; readonly value: string }[] =>
      lines.flat().flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as { sealed: string; value: string }] : []));
    await until(async () => Promise.resolve(sealedOf().length > 30));

    await primary.kill();
    await standby.promote();

    const before = sealedOf().length;
    await until(async () => Promise.resolve(sealedOf().length > before + 30 || children.every(({ process }) => process.exitCode !== null)));
    for (const child of children) child.process.stdin?.write("stop\n");
    await Promise.all(reading);

    const after = await openTestKeystead({ ...options, auditDirectory: join(temporaryFolder(), "audit") });
    for (const { sealed, value } of sealedOf()) expect(await after.decryptText(sealed)).toBe(value);
    expect(sealedOf().length).toBeGreaterThan(before);
    const { versions } = await after.keys.show("pii");
    expect(new Set(versions.map(({ version }) => version)).size).toBe(versions.length);
    const labels = new Set(sealedOf().map(({ sealed }) => sealed.split(":")[2]));
    expect([...labels].filter((label) => !versions.some((version) => version.label === label))).toEqual([]);
    expect((await after.doctor.examine()).filter(({ check, status }) => check === "metadata" && status !== "good")).toEqual([]);
    const job = await after.datasets.reencrypt("crm.person");
    expect(job.state).toBe("done");
    expect((await rows(standby, "select count(*)::int as n from person where email like 'ks1:%'"))[0]).toEqual({ n: people });
  });

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
    // From here on the standby receives nothing. It is not attached any more, so nobody waits for it.
    await standby.run("postgres", "alter system set primary_conninfo = 'host=127.0.0.1 port=1'");
    await standby.run("postgres", "select pg_reload_conf()");
    await until(async () => (await rows(primary, "select from pg_stat_replication")).length === 0);
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
