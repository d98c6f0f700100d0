import { randomBytes, randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { initKeystead, type Keystead, type KeyHandle } from "../../src/index.ts";
import { PostgresServer } from "../../test/support/postgres-server.ts";
import { compare } from "../harness.ts";
import { WorkerGroup } from "../worker-group.ts";

const rows = Number(process.env["KEYSTEAD_BENCH_POSTGRES_ROWS"] ?? "100000");
const indexRows = Number(process.env["KEYSTEAD_BENCH_INDEX_ROWS"] ?? "300000");
const censusRows = Number(process.env["KEYSTEAD_BENCH_CENSUS_ROWS"] ?? "1000000");
const workers = 4;
const pageRows = 500;
const windows = 10;
const windowMilliseconds = 4_000;
/** Rows a second of the job that runs beside an application. */
const gentleRate = 500;

interface Bench {
  readonly server: PostgresServer;
  readonly keystead: Keystead;
  readonly key: Buffer;
  readonly store: string;
  readonly crm: string;
  readonly client: pg.Client;
}

/** Datasets in PostgreSQL, with a server that waits for its disk. */
export async function datasetsPostgres(): Promise<void> {
  const server = await PostgresServer.start({ fsync: true, settings: { max_wal_size: "4GB", shared_buffers: "512MB" } });
  try {
    await withBench(server, reencryption);
    await withBench(server, backfill);
    await withBench(server, census);
    await withBench(server, besideApplication);
  } finally {
    await server.stop();
  }
}

async function withBench(server: PostgresServer, work: (bench: Bench) => Promise<void>): Promise<void> {
  const crm = server.url(await server.createDatabase());
  const store = server.url(await server.createDatabase());
  const folder = mkdtempSync(join(tmpdir(), "keystead-bench-"));
  const key = randomBytes(32);
  const keystead = await initKeystead({
    store,
    masterKeys: { main: { bytes: key } },
    databases: { crm },
    auditDirectory: join(folder, "audit"),
    settings: { refreshBound: 100 },
  });
  const client = new pg.Client({ connectionString: crm });
  await client.connect();
  try {
    await keystead.keys.create({ name: "pii", purpose: "pii" });
    await keystead.keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
    await work({ server, keystead, key, store, crm, client });
  } finally {
    await client.end();
    await keystead.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const dataset = { database: "crm", table: "person", keyColumns: ["id"], columns: { email: { key: "pii" }, phone: { key: "pii" } } };

/** A table of people, protected. */
async function createPersons({ client, keystead }: Bench, count: number, indexes = {}): Promise<KeyHandle> {
  await client.query("create table person (id bigint primary key, email text, phone text, email_index text) with (fillfactor = 80)");
  await client.query(
    "insert into person select i, 'person.' || i || '@example.org', '+49 30 ' || (1000000 + i) from generate_series(1, $1::int) i",
    [count],
  );
  await keystead.datasets.add("crm.person", { ...dataset, indexes });
  await keystead.datasets.protect("crm.person");
  await tidy({ client }, "person");
  return await keystead.open("pii", { dataset: "crm.person" });
}

/** All rows of a table, in pages. */
async function readPages({ client }: Bench, table: string, count: number): Promise<Moved[][]> {
  const pages: Moved[][] = [];
  for (let after = 0; after < count; after += pageRows) {
    const { rows: page } = await client.query<Moved>(
      `select id, email, phone from ${table} where id > $1 order by id limit ${String(pageRows)}`,
      [after],
    );
    pages.push(page);
  }
  return pages;
}

/** Opens, seals and opens again every value, as a job must. */
function movePage(key: KeyHandle, page: readonly Moved[]): Moved[] {
  return page.map(({ id, email, phone }) => ({ id, email: move(key, email, id, "email"), phone: move(key, phone, id, "phone") }));
}

/** What a database does in its own time is done before anything is measured. */
async function tidy({ client }: Pick<Bench, "client">, table: string): Promise<void> {
  await client.query(`vacuum analyze ${table}`);
  await client.query("checkpoint");
}

interface Moved {
  readonly id: string;
  readonly email: string;
  readonly phone: string;
}

function move(key: KeyHandle, sealed: string, id: string, column: string): string {
  const context = { dataset: "crm.person", "row.id": id, column };
  const value = key.decryptValue(sealed, context);
  const fresh = key.encryptValue(value, context);
  if (key.decryptValue(fresh, context) !== value) throw new Error("a value changed");
  return fresh;
}

/** The goal's sum: the cryptography alone, and a plain UPDATE of the same rows in transactions of the same size. */
async function reencryption(bench: Bench): Promise<void> {
  const { client, keystead, store, crm, key: masterKey } = bench;
  const key = await createPersons(bench, rows);
  for (const sql of ["create table plain (like person including all) with (fillfactor = 80)", "insert into plain select * from person"])
    await client.query(sql);
  await tidy(bench, "plain");
  const group = await WorkerGroup.start(workers, store, crm, masterKey);
  const written: number[] = [];
  let pages: Moved[][] = [];
  const update =
    "update plain p set email = n.email, phone = n.phone from unnest($1::bigint[], $2::text[], $3::text[]) n(id, email, phone) where p.id = n.id";
  const floor = "floor: open, seal, open; plain batched UPDATE";
  const job = `datasets.reencrypt, ${String(workers)} workers`;
  await compare(
    `PostgreSQL: reencrypt ${String(rows)} rows of two values, per row`,
    [
      {
        name: floor,
        units: rows,
        prepare: async () => {
          await tidy(bench, "plain");
          pages = await readPages(bench, "plain", rows);
        },
        run: async () => {
          for (const page of pages) {
            const moved = movePage(key, page);
            await client.query(update, [moved.map(({ id }) => id), moved.map(({ email }) => email), moved.map(({ phone }) => phone)]);
          }
        },
      },
      {
        name: job,
        units: rows,
        prepare: async () => {
          await keystead.keys.rotate("pii");
          await tidy(bench, "person");
        },
        run: async () => {
          const begin = await walPosition(bench);
          await group.run("reencrypt");
          written.push(await walSince(bench, begin));
        },
      },
    ],
    { rounds: 5, goals: [{ contender: job, to: floor, atMost: 2 }] },
  );
  const perRow = written.map((bytes) => bytes / rows).toSorted((a, b) => a - b);
  const [least = 0, most = 0] = [perRow[0], perRow.at(-1)];
  process.stdout.write(`  write-ahead log: ${least.toFixed(0)} to ${most.toFixed(0)} bytes a row\n`);
  process.stdout.write(`  a worker takes at most ${String(group.mostMemory)} MiB of memory; the goal is less than 200\n`);
  await group.close();
  await key.close();
}

async function walPosition({ client }: Bench): Promise<string> {
  const { rows: found } = await client.query<{ position: string }>("select pg_current_wal_lsn()::text as position");
  return found[0]?.position ?? "0/0";
}

async function walSince({ client }: Bench, begin: string): Promise<number> {
  const { rows: found } = await client.query<{ bytes: string }>("select pg_wal_lsn_diff(pg_current_wal_lsn(), $1::pg_lsn)::text as bytes", [
    begin,
  ]);
  return Number(found[0]?.bytes ?? 0);
}

async function backfill(bench: Bench): Promise<void> {
  const { client, store, crm, key: masterKey } = bench;
  const key = await createPersons(bench, indexRows, {
    email: { columns: ["email"], column: "email_index", key: "bi", kind: "exact", normalisers: ["email"] },
  });
  const group = await WorkerGroup.start(workers, store, crm, masterKey);
  const [measured] = await compare(
    `PostgreSQL: backfill of a blind index of ${String(indexRows)} rows, in all`,
    [
      {
        name: `datasets.index, ${String(workers)} workers`,
        units: 1,
        prepare: async () => {
          await client.query("update person set email_index = null");
          await tidy(bench, "person");
        },
        run: () => group.run("index"),
      },
    ],
    { rounds: 3 },
  );
  const seconds = (measured?.median ?? Number.NaN) / 1e9;
  process.stdout.write(`  ${seconds < 120 ? "met   " : "MISSED"} it takes ${seconds.toFixed(1)} s; the goal is less than 120 s\n`);
  await group.close();
  await key.close();
}

async function census(bench: Bench): Promise<void> {
  const { client, keystead } = bench;
  const key = await keystead.open("pii");
  const sealed = Array.from({ length: 1000 }, (_, index) => key.encryptValue(`person.${String(index)}@example.org`, { column: "email" }));
  const advice = new Map<string, readonly string[]>();
  for (const table of ["person", "indexed"]) {
    await client.query(`create table ${table} (id bigint primary key, email text)`);
    await client.query(`insert into ${table} select i, ($2::text[])[1 + i % 1000] from generate_series(1, $1::int) i`, [
      censusRows,
      sealed,
    ]);
    await tidy(bench, table);
    const added = await keystead.datasets.add(`crm.${table}`, { ...dataset, table, columns: { email: { key: "pii" } } });
    advice.set(table, added.advice);
  }
  for (const statement of advice.get("indexed") ?? []) await client.query(statement);
  await tidy(bench, "indexed");
  const plain = "select sum(length(column))";
  const indexed = "datasets.takeCensus with the proposed index";
  await compare(
    `PostgreSQL: census of ${String(censusRows)} rows, per row`,
    [
      { name: plain, units: censusRows, run: () => client.query("select sum(length(email)) from person") },
      { name: "datasets.takeCensus", units: censusRows, run: () => keystead.datasets.takeCensus("crm.person") },
      { name: indexed, units: censusRows, run: () => keystead.datasets.takeCensus("crm.indexed") },
    ],
    {
      rounds: 7,
      goals: [
        { contender: "datasets.takeCensus", to: plain, atMost: 8 },
        { contender: indexed, to: "datasets.takeCensus", atMost: 1 },
      ],
    },
  );
  await key.close();
}

/** The slowest hundredth of an application's queries, in windows with and without a throttled job. */
async function besideApplication(bench: Bench): Promise<void> {
  const { client, keystead, store, crm, key: masterKey } = bench;
  const key = await createPersons(bench, rows);
  await keystead.keys.rotate("pii");
  const group = await WorkerGroup.start(1, store, crm, masterKey);
  const slowest = { without: new Array<number>(), beside: new Array<number>() };
  await queriesFor(client, windowMilliseconds / 4);
  for (let window = 0; window < windows; window += 1) {
    slowest.without.push(await queriesFor(client, windowMilliseconds));
    group.begin("reencrypt", gentleRate);
    await queriesFor(client, windowMilliseconds / 8);
    slowest.beside.push(await queriesFor(client, windowMilliseconds));
    await group.stop();
  }
  const middle = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
  const show = (values: readonly number[]): string =>
    [Math.min(...values), middle(values), Math.max(...values)].map((value) => `${value.toFixed(2)} ms`.padStart(12)).join("");
  const ratio = middle(slowest.beside) / middle(slowest.without);
  process.stdout.write(
    `\nPostgreSQL: p99 of an application's queries, ${String(windows)} windows each (min, median, max)\n` +
      `  ${"without a job".padEnd(44)}${show(slowest.without)}\n  ${`beside reencrypt at ${String(gentleRate)} rows/s`.padEnd(44)}${show(slowest.beside)}${ratio.toFixed(2).padStart(12)}\n` +
      `  ${ratio <= 1.5 ? "met   " : "MISSED"} beside the job p99 is ${ratio.toFixed(3)} of p99 without; the goal is at most 1.5\n`,
  );
  await group.close();
  await key.close();
}

/** p99 in milliseconds of reads and writes of single rows, one after the other with a little rest. */
async function queriesFor(client: pg.Client, milliseconds: number): Promise<number> {
  const times: number[] = [];
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    const id = 1 + randomInt(rows);
    const began = performance.now();
    if (times.length % 4 === 0) await client.query("update person set email_index = email_index where id = $1", [id]);
    else await client.query("select * from person where id = $1", [id]);
    times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN;
}
