import { randomInt } from "node:crypto";
import { expect, onTestFinished } from "vitest";
import { type CodecConfig, type DatasetInput, initKeystead, type Keystead } from "../../../src/index.ts";
import { type Child, startChild } from "../../support/child.ts";
import { createTestDatabase, type TestDatabase } from "../../support/postgres-database.ts";
import { testMasterKeys } from "../../support/test-keystead.ts";
import { type Counts, countsSchema, type Release } from "./release.ts";
import type { Step, StepName } from "./step.ts";

const releaseProgram = new URL("release-process.ts", import.meta.url);
const stepProgram = new URL("step-process.ts", import.meta.url);

/** Processes of the application at a time. */
const processes = 2;
/** A page has a hundred rows, less where several workers are at it. */
const rowsPerSecond = 100;

/** Runs that may end without being done: the application undid them. */
const mostEnds = 10;

/** Rows of a table: small unless told otherwise. */
export const rows = Number(process.env["KEYSTEAD_TEST_ROWS"] ?? "2000");

/** A store and an application's database, in PostgreSQL, with the keys `pii` and `bi` (for blind indexes). */
export interface Place {
  readonly store: string;
  readonly crm: string;
  readonly database: TestDatabase;
  readonly keystead: Keystead;
  readonly codecs: Readonly<Record<string, CodecConfig>>;
}

/**
 * Makes a place with table `person`, which has column `email` and those given, and `truth`, which says what each row holds.
 * `person.replaced` counts how often a job wrote a row since the application did.
 */
export async function createPlace(columns: readonly string[], codecs: Place["codecs"] = {}): Promise<Place> {
  const [database, store] = [await createTestDatabase(), await createTestDatabase()];
  const crm = database.url;
  const keystead = await initKeystead({ store: store.url, masterKeys: testMasterKeys, databases: { crm }, codecs });
  onTestFinished(async () => {
    await keystead.close();
    await database.dispose();
    await store.dispose();
  });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
  const others = columns.map((name) => `${name} text,`).join(" ");
  await database.query(
    `create table person (id bigint primary key, email text, ${others} written int not null default 0, replaced int not null default 0) with (fillfactor = 60);
     create table truth (id bigint primary key, email text not null, was text not null default '', alive boolean not null default true, form text not null);
     create index on truth (email);
     create sequence person_ids start ${String(rows + 1)};
     insert into truth (id, email, form) select i, case when i % 10 = 0 then 'shared' || i % 50 else 'p' || i end || '@example.org', 'first'
       from generate_series(1, ${String(rows)}) i;
     insert into person (id, email) select id, email from truth;
     create function count_replaced() returns trigger language plpgsql as
       'begin if new.written = old.written then new.replaced = old.replaced + 1; else new.replaced = 0; end if; return new; end';
     create trigger count_replaced before update on person for each row execute function count_replaced()`,
  );
  for (const column of columns.filter((name) => name.includes("index"))) await database.query(`create index on person (${column})`);
  return { store: store.url, crm, database, keystead, codecs };
}

/** The index that the application searches by. */
const emailIndex: DatasetInput["indexes"] = {
  // Few bits: several rows have each token, and what a search finds has to be compared.
  email: { columns: ["email"], column: "email_index", key: "bi", kind: "exact", normalisers: ["email"], bits: 10 },
};

export function personWith(email: DatasetInput["columns"][string]): DatasetInput {
  return { database: "crm", table: "person", keyColumns: ["id"], columns: { email }, indexes: emailIndex };
}

/** From now on what jobs replace is counted anew. */
export async function countAnew({ database }: Place): Promise<void> {
  await database.query("update person set written = written + 1");
}

export async function queryNumber({ database }: Place, sql: string): Promise<number> {
  return Number(Object.values((await database.query(sql))[0] ?? {})[0]);
}

/** The application: some processes at a time, all the while. Each of them compares whatever it reads and finds with `truth`. */
export class Deployment {
  readonly #place: Place;
  readonly #running: (Child | undefined)[] = Array.from({ length: processes });
  /** What processes did that are gone. */
  readonly #ended: Counts[] = [];

  constructor(place: Place) {
    this.#place = place;
  }

  /** Starts every process anew, one after the other: the old one ends when the new one is at work. */
  async deploy(release: Omit<Release, "store" | "crm">): Promise<void> {
    for (const position of this.#running.keys()) {
      const { store, crm } = this.#place;
      const next = startChild(releaseProgram, [JSON.stringify({ ...release, store, crm })]);
      // A process that failed says so when it is asked.
      next.process.stdin?.on("error", () => undefined);
      if ((await next.nextLine()) !== "begun") await next.finish();
      await this.#end(this.#running[position]);
      this.#running[position] = next;
    }
  }

  /** Waits until each process has done everything once more. @returns what all of them did */
  async turn(): Promise<Counts> {
    const running = this.#running.flatMap((child) => child ?? []);
    for (const child of running) child.process.stdin?.write("\n");
    return sum([...this.#ended, ...(await Promise.all(running.map(countsOf)))]);
  }

  async stop(): Promise<Counts> {
    for (const child of this.#running.splice(0)) await this.#end(child);
    return sum(this.#ended);
  }

  async #end(child: Child | undefined): Promise<void> {
    if (child === undefined) return;
    child.process.stdin?.end();
    const lines = await child.finish();
    this.#ended.push(parseCounts(lines.at(-1)));
  }
}

async function countsOf(child: Child): Promise<Counts> {
  const line = await child.nextLine();
  if (line === undefined) await child.finish();
  return parseCounts(line);
}

function parseCounts(line = ""): Counts {
  return countsSchema.parse(JSON.parse(line));
}

function sum(all: readonly Counts[]): Counts {
  const total: Counts = { writes: 0, inserts: 0, deletes: 0, reads: 0, searches: 0, finds: 0, again: 0 };
  for (const counts of all) for (const name of countsSchema.keyof().options) total[name] += counts[name];
  return total;
}

/** A step that is killed again and again, at random pages. */
export interface KilledStep {
  readonly step: StepName;
  /** Workers at a time, in processes of their own. */
  readonly workers: number;
  readonly kills: number;
  /** Pages after which a worker is killed, at most; 4 unless given. A page has a hundred rows, or less. */
  readonly mostPages?: number;
}

/**
 * Runs a step until a worker says that it is done.
 * @param meanwhile is done after the last kill, before the step comes to its end
 */
export async function runKilled(place: Place, killed: KilledStep, meanwhile?: () => Promise<void>): Promise<void> {
  const run = new StepRun(place, killed);
  const ended = run.run();
  await Promise.race([run.lastKill, ended]);
  await meanwhile?.();
  await ended;
}

class StepRun {
  readonly #place: Place;
  readonly #killed: KilledStep;
  readonly #lastKill = Promise.withResolvers<undefined>();
  readonly #ends: string[] = [];
  #kills = 0;
  #isDone = false;

  constructor(place: Place, killed: KilledStep) {
    this.#place = place;
    this.#killed = killed;
  }

  get lastKill(): Promise<unknown> {
    return this.#lastKill.promise;
  }

  async run(): Promise<void> {
    const { step, workers, kills } = this.#killed;
    await Promise.all(Array.from({ length: workers }, () => this.#keepOne()));
    expect({ step, kills: this.#kills, ends: this.#ends }).toMatchObject({ step, kills });
  }

  async #keepOne(): Promise<void> {
    const { store, crm, codecs } = this.#place;
    const { step, mostPages = 4 } = this.#killed;
    while (!this.#isDone) {
      const options: Step = { store, crm, step, codecs, rowsPerSecond };
      const child = startChild(stepProgram, [JSON.stringify(options)]);
      const end = await this.#watch(child, 1 + randomInt(mostPages));
      if (end === undefined) continue;
      await child.finish();
      this.#ends.push(end);
      if (this.#ends.length > mostEnds) throw new Error(`${step} is not done after so many runs: ${this.#ends.join("; ")}`);
      if (end.startsWith("done")) this.#isDone = true;
    }
  }

  /** @returns how it ended; undefined when it was killed */
  async #watch(child: Child, pages: number): Promise<string | undefined> {
    let line = await child.nextLine();
    for (let page = 1; line === "page"; page += 1) {
      if (page >= pages && this.#kills < this.#killed.kills) {
        this.#kills += 1;
        await child.kill();
        expect(child.process.signalCode).toBe("SIGKILL");
        if (this.#kills === this.#killed.kills) this.#lastKill.resolve(undefined);
        return undefined;
      }
      line = await child.nextLine();
    }
    return line ?? "";
  }
}

/** Every row opens to what `truth` says, and there is no other. @returns ids of those that don't */
export async function findWrong({ database, keystead }: Place, column = "email"): Promise<string[]> {
  const key = await keystead.open("pii");
  const stored = await database.query(
    `select coalesce(p.id, t.id)::text as id, p.id is not null as stored, p.${column} as sealed, t.email, coalesce(t.alive, false) as alive
     from person p full join truth t on t.id = p.id`,
  );
  const wrong = stored.filter(({ id, stored: isStored, sealed, email, alive }) => {
    if (isStored !== alive) return true;
    const context = { dataset: "crm.person", "row.id": String(id), column: "email" };
    return isStored === true && key.decryptValue(String(sealed), context) !== email;
  });
  await key.close();
  expect(stored.length).toBeGreaterThan(rows / 2);
  return wrong.map(({ id }) => String(id));
}
