import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { initKeystead, type Keystead, openKeystead } from "../../src/keystead.ts";
import { type Child, startChild } from "../support/child.ts";
import { PostgresServer } from "../support/postgres-server.ts";
import { testMasterKeys } from "../support/test-keystead.ts";
import { shareCompileCache } from "../datasets/support/killed-job.ts";

const rows = Number(process.env["KEYSTEAD_TEST_ROWS"] ?? "1000000");
const workers = 4;
const kills = 20;
const hour = 3_600_000;
const mebibyte = 2 ** 20;

const workerProgram = new URL("../datasets/support/worker-process.ts", import.meta.url);
const applicationProgram = new URL("support/application-process.ts", import.meta.url);

shareCompileCache();

/** Workers in processes of their own, of which there are always so many until the job is done. */
class Workers {
  readonly #start: () => Child;
  readonly #running = new Set<Child>();
  readonly ends: string[] = [];
  mostMemory = 0;
  isDone = false;

  constructor(start: () => Child) {
    this.#start = start;
  }

  /** Runs until one of them says that the job is done. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: workers }, () => this.#keepOne()));
  }

  /** SIGKILL for one of them, whichever. */
  async killOne(): Promise<boolean> {
    const running = [...this.#running];
    const child = running[randomInt(Math.max(1, running.length))];
    if (child === undefined) return false;
    await child.kill();
    return child.process.signalCode === "SIGKILL";
  }

  /** Notes the most memory that one of them has had. */
  measure(): void {
    for (const { process: child } of this.#running) {
      const status = statusOf(child.pid);
      const kilobytes = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
      this.mostMemory = Math.max(this.mostMemory, kilobytes * 1024);
    }
  }

  async #keepOne(): Promise<void> {
    while (!this.isDone) {
      const child = this.#start();
      this.#running.add(child);
      const lines = await child.finish().catch((error: unknown) => [String(error)]);
      this.#running.delete(child);
      const end = lines.at(-1) ?? "";
      this.ends.push(end);
      if (end.startsWith("done")) this.isDone = true;
    }
  }
}

function statusOf(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${String(pid)}/status`, "latin1");
  } catch {
    return "";
  }
}

interface Place {
  readonly server: PostgresServer;
  readonly store: string;
  readonly crm: string;
  readonly query: (sql: string) => Promise<Record<string, unknown>[]>;
}

async function createPlace(): Promise<Place> {
  const server = await PostgresServer.start({ fsync: true, settings: { max_wal_size: "4GB" } });
  onTestFinished(() => server.stop());
  const crm = server.url(await server.createDatabase());
  const store = server.url(await server.createDatabase());
  const query = async (sql: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: crm });
    await client.connect();
    return (await client.query<Record<string, unknown>>(sql).finally(() => client.end())).rows;
  };
  await query(
    `create table person (id bigint primary key, name text, written int not null default 0, replaced int not null default 0) with (fillfactor = 60);
     create table written (id bigint primary key, name text not null);
     insert into person select i, 'name ' || i from generate_series(1, ${String(rows)}) i`,
  );
  return { server, store, crm, query };
}

/** Waits until the job has replaced so many rows. The database may be away for a moment. */
async function replacedRows(keystead: Keystead, count: number): Promise<void> {
  for (;;) {
    const job = await keystead.jobs.show("crm.person").catch(() => undefined);
    if (job?.kind === "reencrypt" && job.progress.replaced >= count) return;
    if (job?.kind === "reencrypt" && job.state === "done") throw new Error("the job was done before everything was killed");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function stateOf(keystead: Keystead): Promise<string | undefined> {
  return (await keystead.jobs.show("crm.person").catch(() => undefined))?.state;
}

/** A row of which the application writes nothing, in the middle of the table. */
const damaged = Math.ceil(rows / 2) + 1;

/** Flips a bit of a row's ciphertext, in its payload. @returns the value as it is then */
async function damageOne({ query }: Place): Promise<string> {
  const [row] = await query(`select name from person where id = ${String(damaged)}`);
  const name = String(row?.["name"]);
  const start = name.lastIndexOf(":") + 1;
  const payload = Buffer.from(name.slice(start), "base64url");
  // Behind what the header and the nonce take, and before the tag.
  payload[payload.length - 20] = (payload[payload.length - 20] ?? 0) ^ 1;
  const changed = name.slice(0, start) + payload.toString("base64url");
  expect(changed).not.toBe(name);
  await query(`update person set name = '${changed}' where id = ${String(damaged)}`);
  return changed;
}

/** Every other row opens to what the application wrote last, or to what was there in the beginning. */
async function countWrong({ crm }: Place, keystead: Keystead): Promise<number> {
  const key = await keystead.open("pii");
  const client = new pg.Client({ connectionString: crm });
  await client.connect();
  let wrong = 0;
  for (let after = 0; after < rows; after += 20_000) {
    const { rows: found } = await client.query<{ id: string; name: string; last: string | null }>(
      "select p.id, p.name, w.name as last from person p left join written w on w.id = p.id where p.id > $1 and p.id <= $2 and p.id <> $3",
      [after, after + 20_000, damaged],
    );
    for (const { id, name, last } of found) {
      const context = { dataset: "crm.person", "row.id": id, column: "name" };
      if (key.decryptValue(name, context) !== (last ?? `name ${id}`)) wrong += 1;
    }
  }
  await client.end();
  await key.close();
  return wrong;
}

it(
  `nothing is lost and nothing replaced twice: ${String(rows)} rows of which one is damaged, ${String(workers)} workers, an application that writes, ${String(kills)} kills and one of the database`,
  { timeout: hour },
  async () => {
    const place = await createPlace();
    const { store, crm, server, query } = place;
    const options = { store, masterKeys: testMasterKeys, databases: { crm } };
    const made = await initKeystead(options);
    await made.keys.create({ name: "pii", purpose: "pii" });
    await made.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns: { name: { key: "pii" } } });
    const protecting = new Workers(() => startChild(workerProgram, [store, crm, "protect"]));
    await protecting.run();
    const damagedName = await damageOne(place);
    await query(
      `create function count_replaced() returns trigger language plpgsql as
         'begin if new.written = old.written then new.replaced = old.replaced + 1; end if; return new; end';
       create trigger count_replaced before update on person for each row execute function count_replaced()`,
    );
    await made.keys.rotate("pii");
    await made.close();

    const application = startChild(applicationProgram, [store, crm, String(rows), String(damaged)]);
    expect(await application.nextLine()).toBe("begun");
    const moving = new Workers(() => startChild(workerProgram, [store, crm, "reencrypt"]));
    const moved = moving.run();
    const done = { kills: 0, database: 0 };
    const watcher = await openKeystead(options);
    for (let act = 1; act <= kills + 1; act += 1) {
      // What the application writes meanwhile the job need not replace: of a small table that is a good part.
      await replacedRows(watcher, ((act - Math.random()) / (kills + 1)) * rows * 0.75);
      moving.measure();
      if (act === Math.floor(kills / 2)) {
        await server.kill();
        await server.restart();
        done.database += 1;
      } else if (await moving.killOne()) done.kills += 1;
    }
    while ((await stateOf(watcher)) !== "done") {
      await new Promise((resolve) => setTimeout(resolve, 100));
      moving.measure();
    }
    await moved;
    await watcher.close();
    application.process.stdin?.write("stop\n");
    const writes = Number((await application.finish()).at(-1));
    expect(done, moving.ends.join("\n")).toMatchObject({ database: 1 });
    expect(done.kills).toBeGreaterThanOrEqual(kills);
    expect(writes).toBeGreaterThan(100);

    const keystead = await openKeystead(options);
    onTestFinished(() => keystead.close());
    const theOne = { problems: 1, firstProblems: [{ row: { id: String(damaged) }, column: "name", code: "DECRYPTION_FAILED" }] };
    expect((await keystead.jobs.show("crm.person")).progress).toMatchObject(theOne);
    expect(moving.ends.filter((end) => end.startsWith("done")).map((end) => end.split(" ")[1])).toContain("1");
    expect((await keystead.datasets.reencrypt("crm.person")).progress).toMatchObject({ replaced: 0, ...theOne });
    expect(await query(`select name, written, replaced from person where id = ${String(damaged)}`)).toEqual([
      { name: damagedName, written: 0, replaced: 0 },
    ]);
    expect(await countWrong(place, keystead)).toBe(0);
    const { columns } = await keystead.datasets.takeCensus("crm.person");
    const versions = [
      { count: 1, standing: "old" },
      { count: rows - 1, standing: "current" },
    ];
    expect(columns).toMatchObject([{ plaintext: 0, versions }]);
    expect(
      await query(
        `select max(replaced)::int as most, count(*) filter (where replaced = 0 and written = 0)::int as never
           from person where id <> ${String(damaged)}`,
      ),
    ).toEqual([{ most: 1, never: 0 }]);
    expect(Number((await query("select sum(written) as writes from person"))[0]?.["writes"])).toBeGreaterThanOrEqual(writes);
    expect((await keystead.audit.verify()).findings).toEqual([]);
    process.stdout.write(
      `${String(done.kills)} workers killed, ${String(writes)} writes of the application, at most ${String(Math.ceil(moving.mostMemory / mebibyte))} MiB in a worker\n`,
    );
    expect(moving.mostMemory / mebibyte).toBeLessThan(200);
  },
);
