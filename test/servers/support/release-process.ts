import { createDecipheriv, randomBytes, randomInt } from "node:crypto";
import { createInterface } from "node:readline";
import pg from "pg";
import { isKeysteadError, type Keystead, openKeystead } from "../../../src/index.ts";
import { defineFields } from "../../../src/fields/field-specification.ts";
import { RecordCipher } from "../../../src/fields/record-cipher.ts";
import { sealOpenspp } from "../../datasets/codecs/foreign.ts";
import { quoted } from "../../datasets/support/quoted.ts";
import { canaries } from "../../setup/canary.ts";
import { type Counts, firstLateId, releaseSchema } from "./release.ts";

/**
 * An application that inserts, updates, deletes, reads and searches rows of `person`, and in the same transactions writes into `truth` what
 * each row says. Whatever it reads and finds it compares with that, and ends with an error when it is not the same. Prints `begun` after a
 * first turn of everything, and its counts as JSON after the first whole turn that follows a line on standard input, and at the end of it.
 * Argument: the release, as JSON.
 */
type Row = Readonly<Record<string, unknown>>;

/** How a release turns what it has into what is stored, and back. */
interface Storage {
  readonly seal: (id: string, email: string) => Row;
  readonly open: (row: Row) => unknown;
  /** Ids of the rows with a value, by one SQL statement. */
  readonly search?: (client: pg.ClientBase, email: string) => Promise<string[]>;
}

const release = releaseSchema.parse(JSON.parse(process.argv[2] ?? ""));
/** No two processes write the same values. */
const unique = `${String(process.pid)}.${String(randomInt(2 ** 32))}`;
const counts: Counts = { writes: 0, inserts: 0, deletes: 0, reads: 0, searches: 0, finds: 0, again: 0 };
const asked = { turns: 0, stops: false };
const requests = createInterface({ input: process.stdin });
requests.on("line", () => {
  asked.turns += 1;
});
requests.on("close", () => {
  asked.stops = true;
});
const pool = new pg.Pool({ connectionString: release.crm, max: 1 });
const keystead = release.way === "plain" ? undefined : await open();
const storage = keystead === undefined ? plainStorage() : await recordStorage(keystead);

for (let turns = 0, answered = 0; !asked.stops; turns += 1) {
  const until = asked.turns;
  await turn(turns);
  if (turns === 0) process.stdout.write("begun\n");
  for (; answered < until; answered += 1) process.stdout.write(`${JSON.stringify(counts)}\n`);
}
process.stdout.write(`${JSON.stringify(counts)}\n`);
await keystead?.close();
await pool.end();

async function turn(number: number): Promise<void> {
  for (let act = 0; act < 3; act += 1) {
    await write(`${String(number)}.${String(act)}`);
    await read();
  }
  await insert(number);
  await remove();
  if (keystead === undefined || !release.searches) return;
  await search();
  await find(keystead);
}

function open(): Promise<Keystead> {
  const masterKeys = { main: { bytes: canaries.masterKey.bytes } };
  return openKeystead({ store: release.store, masterKeys, databases: { crm: release.crm } });
}

/** The release before Keystead: it reads its columns as they are. */
function plainStorage(): Storage {
  return { seal: (id, email) => ({ id, email }), open: ({ email }) => email };
}

async function recordStorage(opened: Keystead): Promise<Storage> {
  const { plaintext } = release;
  const field = { key: "pii", type: "string", ...(plaintext !== undefined && { plaintext }) } as const;
  const definition = await opened.datasets.recordDefinition("crm.person");
  const pii = await opened.open("pii", { dataset: "crm.person" });
  const bi = await opened.open("bi", { dataset: "crm.person" });
  const cipher = new RecordCipher(defineFields({ email: field }, definition), { pii, bi });
  const openOwn = (row: Row): unknown => cipher.decrypt(row).email;
  const { foreign } = release;
  return {
    seal: (id, email) => {
      if (foreign?.writes !== true) return cipher.encrypt({ id, email });
      const key = Buffer.from(foreign.keys[0] ?? "", "hex");
      return { id, email: sealOpenspp(key, randomBytes(12), email, foreign.aad.replace("{id}", id)) };
    },
    // What does not parse as Keystead's ciphertext is the other system's.
    open: (row) => (foreign === undefined || String(row["email"]).startsWith("ks1:") ? openOwn(row) : openForeign(row)),
    search: async (client, email) => {
      const { property, tokens } = cipher.search("email", email);
      const { rows } = await client.query<Row>(`select * from person where ${quoted(property)} = any($1) order by id`, [tokens]);
      return rows.filter((row) => cipher.matches(property, cipher.decrypt(row), email)).map((row) => String(row["id"]));
    },
  };
}

function openForeign({ id, email }: Row): string {
  const { keys = [], aad = "" } = release.foreign ?? {};
  const sealed = Buffer.from(String(email), "base64");
  for (const key of keys) {
    const cipher = createDecipheriv("aes-256-gcm", Buffer.from(key, "hex"), sealed.subarray(0, 12));
    cipher.setAAD(Buffer.from(aad.replace("{id}", String(id)))).setAuthTag(sealed.subarray(-16));
    try {
      return Buffer.concat([cipher.update(sealed.subarray(12, -16)), cipher.final()]).toString();
    } catch {
      // Of another version.
    }
  }
  throw new Error(`row ${String(id)} is neither Keystead's nor the other system's`);
}

async function inTransaction<T>(work: (client: pg.PoolClient) => Promise<T>, kind = "read committed"): Promise<T> {
  const client = await pool.connect();
  let isBroken = true;
  try {
    await client.query(`begin isolation level ${kind}`);
    const result = await work(client);
    await client.query("commit");
    isBroken = false;
    return result;
  } finally {
    client.release(isBroken);
  }
}

/** Some row as `truth` has it. */
async function pick(client: pg.ClientBase, more: string, from = 1, to = firstLateId): Promise<Row | undefined> {
  const { rows: ends } = await client.query<Row>("select max(id)::text as last from truth where id between $1 and $2", [from, to]);
  const last = Number(ends[0]?.["last"] ?? 0);
  if (last < from) return undefined;
  const sql = `select id::text, email, was, alive from truth where id between $1 and $2 ${more}`;
  return (await client.query<Row>(sql, [from + randomInt(last - from + 1), to])).rows[0];
}

/** Values that several rows have are searched for by a value of this beginning. */
function isShared(email: string): boolean {
  return email.startsWith("shared");
}

async function store(client: pg.ClientBase, id: string, email: string): Promise<void> {
  const stored = Object.entries(storage.seal(id, email));
  const names = stored.map(([name]) => quoted(name)).join(", ");
  const sets = stored.map(([name]) => `${quoted(name)} = excluded.${quoted(name)}`).join(", ");
  const places = stored.map((_, place) => `$${String(place + 1)}`).join(", ");
  await client.query(
    `insert into person (${names}) values (${places}) on conflict (id) do update set ${sets}, written = person.written + 1`,
    stored.map(([, value]) => value),
  );
}

async function write(turnAndAct: string): Promise<void> {
  await inTransaction(async (client) => {
    const row = await pick(client, "order by truth.id limit 1 for update");
    if (row === undefined) return;
    const email = randomInt(10) === 0 ? `shared${String(randomInt(50))}@example.org` : `w${unique}.${turnAndAct}@example.org`;
    await client.query("update truth set was = email, email = $2, alive = true, form = $3 where id = $1", [row["id"], email, release.name]);
    await store(client, String(row["id"]), email);
  });
  counts.writes += 1;
}

async function insert(number: number): Promise<void> {
  await inTransaction(async (client) => {
    const email = `n${unique}.${String(number)}@example.org`;
    const sql = "insert into truth (id, email, form) values (nextval('person_ids'), $1, $2) returning id::text";
    const { rows } = await client.query<Row>(sql, [email, release.name]);
    await store(client, String(rows[0]?.["id"]), email);
  });
  counts.inserts += 1;
}

async function remove(): Promise<void> {
  await inTransaction(async (client) => {
    const row = await pick(client, "and alive order by truth.id limit 1 for update");
    if (row === undefined) return;
    await client.query("update truth set alive = false, was = email where id = $1", [row["id"]]);
    await client.query("delete from person where id = $1", [row["id"]]);
  });
  counts.deletes += 1;
}

async function read(): Promise<void> {
  await inTransaction(async (client) => {
    const row = await pick(client, "order by truth.id limit 1");
    if (row === undefined) return;
    const stored = (await client.query<Row>("select * from person where id = $1", [row["id"]])).rows[0];
    const email = stored === undefined ? undefined : storage.open(stored);
    const expected = row["alive"] === true ? row["email"] : undefined;
    if (email !== expected) throw new Error(`row ${String(row["id"])} reads ${String(email)} instead of ${String(expected)}`);
  }, "repeatable read");
  counts.reads += 1;
}

/** A search of the application's own sees the rows as they are at one moment, and so does what it compares them with. */
async function search(): Promise<void> {
  await inTransaction(async (client) => {
    const row = await pick(client, "and alive order by truth.id limit 1");
    if (row === undefined) return;
    const email = String(row["email"]);
    const { rows } = await client.query<Row>("select id::text from truth where alive and email = $1 order by truth.id", [email]);
    const found = await storage.search?.(client, email.toUpperCase());
    expectIds(
      `the application's own search for ${email}`,
      found,
      rows.map(({ id }) => String(id)),
    );
  }, "repeatable read");
  counts.searches += 1;
}

/** Nobody changes the row whose value is searched for, and nobody else has that value. */
async function find({ datasets }: Keystead): Promise<void> {
  await inTransaction(async (client) => {
    const unshared = "and email not like 'shared%' order by truth.id limit 1 for share";
    const late = randomInt(2) === 0 ? await pick(client, unshared, firstLateId, 2 * firstLateId) : undefined;
    const row = late ?? (await pick(client, unshared));
    if (row === undefined) return;
    const [id, email, was] = [String(row["id"]), String(row["email"]), String(row["was"])];
    await expectFound(datasets, email, row["alive"] === true ? [id] : []);
    if (was !== "" && was !== email && !isShared(was)) await expectFound(datasets, was, []);
  });
}

async function expectFound(datasets: Keystead["datasets"], email: string, ids: readonly string[]): Promise<void> {
  try {
    const { rows, complete } = await datasets.find("crm.person", "email", [email.toUpperCase()]);
    if (!complete) throw new Error(`find for ${email} is not complete`);
    expectIds(
      `find for ${email}`,
      rows.map(({ row }) => row["id"] ?? ""),
      ids,
    );
    for (const { values } of rows) if (values["email"] !== email) throw new Error(`find for ${email} gave another value`);
    counts.finds += 1;
  } catch (error) {
    if (!isKeysteadError(error, "CONFLICT")) throw error;
    counts.again += 1;
    await expectFound(datasets, email, ids);
  }
}

function expectIds(what: string, found: readonly string[] | undefined, expected: readonly string[]): void {
  if (found?.join() === expected.join()) return;
  throw new Error(`${what}: rows ${found?.join() ?? "none"} instead of ${expected.join()}`);
}
