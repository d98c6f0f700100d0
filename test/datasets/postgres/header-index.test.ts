import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { HeaderCount, SourceLayout } from "../../../src/datasets/source.ts";
import { sealedCell } from "../../../src/testing/dataset-source/ciphertext.ts";
import { layoutOf, openSource, TestTables } from "./database.ts";

const rows = 100_000;
const header = "ks1:acme/pii:1-k7f2qd:";

/** Values of every sort that a census tells apart, each of them often. */
const fill =
  `insert into person(id, email) select i, case i % 5 when 0 then null when 1 then 'plain ' || i when 2 then '${header}' || repeat('A', 40) ` +
  `when 3 then 'ks1:acme/pii:2-k7f2qd:' || repeat('A', 300) else '${header}=' end from generate_series(1, ${String(rows)}) i`;

async function withSource<T>(
  url: string,
  layout: SourceLayout,
  work: (source: Awaited<ReturnType<typeof openSource>>) => Promise<T>,
): Promise<T> {
  const source = await openSource(url, layout);
  try {
    return await work(source);
  } finally {
    await source.close();
  }
}

function sorted(counts: readonly HeaderCount[]): string[] {
  return counts.map(({ column, kind, key, label, count }) => [column, kind, key, label, count].join(" ")).sort();
}

describe("the index that is proposed for the census of a large table", () => {
  let tables: TestTables;
  beforeAll(async () => {
    tables = await TestTables.create();
  });
  afterAll(async () => {
    await tables.dispose();
  });

  const count = (layout: SourceLayout): Promise<string[]> =>
    withSource(tables.url, layout, async (source) => sorted(await source.countHeaders()));
  const advice = (layout: SourceLayout): Promise<readonly string[]> =>
    withSource(tables.url, layout, async (source) => (await source.describe()).advice);
  /** How often indexes of headers were read. */
  const scans = async (): Promise<number> => {
    const [row] = await tables.query(
      "select coalesce(sum(pg_stat_get_numscans(i.indexrelid)), 0)::int as scans from pg_index i where i.indexprs is not null and i.indrelid::regclass::text not like 'pg_%'",
    );
    return Number(row?.["scans"]);
  };
  /** Counts, and waits until the server has said whether that read an index of headers. */
  const countedByIndex = async (layout: SourceLayout): Promise<string[]> => {
    const before = await scans();
    const counts = await count(layout);
    await expect.poll(scans, { interval: 20, timeout: 20_000 }).toBeGreaterThan(before);
    return counts;
  };

  const columns: Readonly<Record<string, { readonly column: string; readonly value?: string; readonly setup?: string }>> = {
    "a text": { column: "email text" },
    "a text of a collation that takes much for equal": {
      column: "email text collate weak",
      setup: "create collation weak (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
    },
    "a varchar": { column: "email varchar(4000)" },
    "a citext": { column: "email citext", setup: "create extension if not exists citext schema public" },
    "a domain": { column: "email address", setup: "create domain address as varchar(4000)" },
  };
  it.each(Object.entries(columns))("counts as the whole table does: %s", async (_, { column, setup = "" }) => {
    const layout = layoutOf("person", { valueColumns: ["email"] });
    await tables.createTable(`${setup}; create table person(id int primary key, ${column}); ${fill}; analyze person`, layout);
    const whole = await count(layout);
    expect(whole).toEqual([
      `email ciphertext acme/pii 1-k7f2qd ${String(rows / 5)}`,
      `email ciphertext acme/pii 2-k7f2qd ${String(rows / 5)}`,
      `email null   ${String(rows / 5)}`,
      `email plaintext   ${String((rows / 5) * 2)}`,
    ]);
    const [create = "", ...others] = await advice(layout);
    expect(others).toEqual([]);
    expect(create).toMatch(/^CREATE INDEX CONCURRENTLY "person_email_census" ON "public"."person" \(.* -- optional: /);
    await tables.query(create);
    expect(await countedByIndex(layout)).toEqual(whole);
    expect(await advice(layout)).toEqual([]);
    // What is newer than the server's statistics.
    await tables.query("delete from person where id % 5 = 0; update person set email = null where id % 5 = 1");
    expect(await countedByIndex(layout)).toEqual([...whole.slice(0, 3), `email plaintext   ${String(rows / 5)}`]);
  });

  it("counts binary values, documents and partitions, and columns without one beside them", async () => {
    const layout = layoutOf("person", { valueColumns: ["scan", "profile.phone", "old.phone", "note"] });
    const [binary, stream] = (["binary", "stream"] as const).map((form) => {
      const cell = sealedCell(form, "a", "acme/pii", "12-k7f2qd");
      return "bytes" in cell ? Buffer.from(cell.bytes) : Buffer.alloc(0);
    });
    await tables.createTable(
      "create table person(id int primary key, scan bytea, profile jsonb, old json, note text) partition by range (id); " +
        `create table person_1 partition of person for values from (0) to (${String(rows / 2)}); create table person_2 partition of person default`,
      layout,
    );
    await tables.query(
      "insert into person select i, case i % 4 when 0 then $1::bytea when 1 then $2::bytea when 2 then '\\x00ff' end, " +
        `jsonb_build_object('phone', case i % 3 when 0 then to_jsonb('${header}' || repeat('A', 40)) when 1 then to_jsonb(i) end), ` +
        `json_build_object('phone', '${header}' || repeat('A', 40)), 'note' from generate_series(1, ${String(rows)}) i`,
      [binary, stream],
    );
    await tables.query("analyze person");
    const whole = await count(layout);
    expect(whole.length).toBeGreaterThan(6);
    const statements = await advice(layout);
    expect(statements.map((statement) => /^CREATE INDEX "([^"]*)" ON "public"."person" /.exec(statement)?.[1])).toEqual([
      "person_scan_census",
      "person_profile.phone_census",
      "person_note_census",
    ]);
    for (const statement of statements.slice(0, 2)) await tables.query(statement);
    await tables.query("analyze person");
    expect(await countedByIndex(layout)).toEqual(whole);
    expect((await advice(layout)).length).toBe(1);
  });

  it("is not proposed for a small table", async () => {
    const layout = layoutOf("person", { valueColumns: ["email"] });
    await tables.createTable(`create table person(id int primary key, email text); ${fill}; delete from person where id = 1`, layout);
    expect(await advice(layout)).toEqual([]);
  });

  it("is left alone when it misses rows, has too many headers, or holds something else", async () => {
    const layout = layoutOf("person", { valueColumns: ["email"] });
    await tables.createTable(`create table person(id int primary key, email text); ${fill}; analyze person`, layout);
    const whole = await count(layout);
    const [create = ""] = await advice(layout);
    await tables.query(`${create.replace("CONCURRENTLY ", "").replace(/ -- .*/, "")} where id > 10`);
    expect(await count(layout)).toEqual(whole);
    await tables.query('drop index "person_email_census"; create index on person (lower(email))');
    expect(await count(layout)).toEqual(whole);
    await tables.query(create);
    const [{ plain } = { plain: 0 }] = await tables.query(
      "select count(*)::int as plain from person where id <= 15000 and id % 5 in (1, 4)",
    );
    await tables.query("update person set email = 'ks1:k' || id || ':1-K7F2QD:' || repeat('A', 40) where id <= 15000");
    expect((await count(layout)).at(-1)).toBe(`email plaintext   ${String((rows / 5) * 2 + 15_000 - Number(plain))}`);
    // As after a fault of its storage: it says that it is whole.
    await tables.query(
      `drop index "person_email_census"; truncate person; ${fill}; ${create.replace("CONCURRENTLY ", "").replace(/ -- .*/, "")} where id > 10`,
    );
    await tables.query(`update pg_index set indpred = null where indexrelid = 'person_email_census'::regclass`);
    expect(await count(layout)).toEqual(whole);
    // Now the server itself would count the rows in this index, which is the smallest.
    await tables.query("vacuum analyze person");
    expect(await count(layout)).toEqual(whole);
  });

  it("says nothing of NULL where there is none", async () => {
    const layout = layoutOf("person", { valueColumns: ["email"] });
    const someText = fill.replace("then null", "then 'plain'");
    await tables.createTable(`create table person(id int primary key, email text); ${someText}; analyze person`, layout);
    const whole = await count(layout);
    expect(whole.map((line) => line.split(" ")[1])).toEqual(["ciphertext", "ciphertext", "plaintext"]);
    await tables.query((await advice(layout))[0] ?? "");
    expect(await countedByIndex(layout)).toEqual(whole);
  });

  it("agrees with the whole table about damaged ciphertext", async () => {
    const layout = layoutOf("person", { valueColumns: ["email"] });
    const characters = fc.constantFrom(":", "/", ".", "-", "_", "=", "A", "Q", "g", "B", "0", "9", "\n", " ", "ks1:", "é", "日");
    const damaged = fc
      .tuple(fc.array(fc.tuple(fc.nat(70), fc.nat(3), characters), { maxLength: 2 }), fc.constantFrom("", "A", "Ag", "AAQ"))
      .map(([edits, end]) =>
        edits.reduce((text, [at, out, put]) => text.slice(0, at) + put + text.slice(at + out), `${header}${"A".repeat(40)}${end}`),
      );
    await tables.createTable(`create table person(id serial primary key, email text); ${fill}; analyze person`, layout);
    await tables.query("select setval('person_id_seq', 1000000)");
    await tables.query("insert into person(email) select unnest($1::text[])", [fc.sample(damaged, { numRuns: 3000, seed: 3 })]);
    const whole = await count(layout);
    expect(whole.length).toBeGreaterThan(6);
    await tables.query((await advice(layout))[0] ?? "");
    expect(await countedByIndex(layout)).toEqual(whole);
  });
});
