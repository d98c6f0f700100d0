import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SourceDescription, SourceLayout } from "../../../src/datasets/source.ts";
import { failureOf, layoutOf, openSource, TestTables } from "./database.ts";

const person = layoutOf("person", { valueColumns: ["email"], contextColumns: ["tenant"], indexColumns: ["token"] });
const plain = "create table person(id int primary key, email text, tenant text, token text)";

const foreignServer =
  "drop foreign data wrapper if exists nobodys cascade; create foreign data wrapper nobodys; create server nobodys foreign data wrapper nobodys";

describe("looking at PostgreSQL tables", () => {
  let tables: TestTables;
  beforeAll(async () => {
    tables = await TestTables.create();
  });
  afterAll(async () => {
    await tables.dispose();
  });

  async function look(sql: string, layout: SourceLayout = person, url = tables.url): Promise<SourceDescription> {
    await tables.createTable(sql, layout);
    const source = await openSource(url, layout);
    return await source.describe().finally(() => source.close());
  }

  const unsuitable: readonly (readonly [what: string, sql: string, message: RegExp])[] = [
    [
      "a view",
      "create table p(id int primary key, email text, tenant text, token text); create view person as select * from p",
      /view: name the table/,
    ],
    [
      "a materialised view",
      "create materialized view person as select 1 as id, '' as email, '' as tenant, '' as token",
      /view: name the table/,
    ],
    ["no unique key", "create table person(id int, email text, tenant text, token text)", /not declared unique; it has no unique key/],
    [
      "a partial unique index",
      `create table person(id int not null, email text, tenant text, token text); create unique index on person(id) where id > 0`,
      /unique/,
    ],
    [
      "a unique expression",
      `create table person(id int not null, email text, tenant text, token text); create unique index on person((id + 1))`,
      /unique/,
    ],
    ["a nullable key", "create table person(id int unique, email text, tenant text, token text)", /may be NULL.*SET NOT NULL/],
    [
      "numbers for ciphertext",
      "create table person(id int primary key, email numeric, tenant text, token text)",
      /"email" is numeric: ciphertext needs text or bytea/,
    ],
    ["json for ciphertext", "create table person(id int primary key, email jsonb, tenant text, token text)", /"email" is jsonb/],
    [
      "char(n) for ciphertext",
      "create table person(id int primary key, email char(200), tenant text, token text)",
      /character\(200\), which pads/,
    ],
    [
      "char(n) for tokens",
      "create table person(id int primary key, email text, tenant text, token char(60))",
      /"token" is character\(60\), which pads/,
    ],
    [
      "a short column for tokens",
      "create table person(id int primary key, email text, tenant text, token varchar(20))",
      /up to 48 characters/,
    ],
    [
      "a short column",
      "create table person(id int primary key, email varchar(50), tenant text, token text)",
      /varchar|character varying\(50\).*has up to \d+ characters: ALTER TABLE .* TYPE text/,
    ],
    [
      "a unique value column",
      "create table person(id int primary key, email text unique, tenant text, token text)",
      /"email" is part of a unique key/,
    ],
    [
      "a value column that refers",
      "create table person(id int primary key, email text references person2, tenant text, token text)",
      /refers to another table/,
    ],
    [
      "a value column that decides the partition",
      "create table person(id int, email text, tenant text, token text) partition by list (email)",
      /unique|decides in which partition/,
    ],
    [
      "a generated column",
      "create table person(id int primary key, email text generated always as ('x') stored, tenant text, token text)",
      /"email" is generated/,
    ],
    [
      "a partition",
      "create table whole(id int, email text, tenant text, token text, primary key (id)) partition by range (id); create table person partition of whole default",
      /partition: name the whole table, whole/,
    ],
    ["a table that others inherit from", `${plain}; create table child() inherits (person)`, /"child" inherit/],
    ["rules", `${plain}; create rule r as on update to person do instead nothing`, /rules rewrite.*"r"/],
    [
      "a foreign table",
      `${foreignServer}; create foreign table person(id int, email text, tenant text, token text) server nobodys`,
      /foreign table: give the URL/,
    ],
    [
      "a partition in another database",
      `${foreignServer}; create table person(id int, email text, tenant text, token text) partition by range (id);
       create foreign table far partition of person for values from (0) to (1) server nobodys`,
      /its partitions "far" are in another database: detach them/,
    ],
    ["a sequence", "create sequence person", /it is no table: name one/],
    [
      "row-level security, forced",
      `${plain}; alter table person enable row level security; grant all on schema public to limited; grant all on person to limited`,
      /row-level security would hide/,
    ],
  ];
  for (const [what, sql, message] of unsuitable) {
    it(`refuses ${what}, saying what to do`, async () => {
      await tables.query("do $$ begin create role limited login; exception when duplicate_object then null; end $$");
      const setup = sql.includes("person2") ? "create table person2(email text primary key);" : "";
      const url = sql.includes("limited") ? tables.url.replace("postgres@", "limited@") : tables.url;
      const failure = await failureOf(look(setup + sql, person, url));
      expect(failure).toMatch(/^DATASET_UNSUITABLE: /);
      expect(failure).toMatch(message);
    });
  }

  it("refuses a temporary table, which only its session sees", async () => {
    await tables.createTable(plain, person);
    const application = new pg.Client({ connectionString: tables.url });
    await application.connect();
    await application.query("create temporary table person(id int primary key, email text, tenant text, token text)");
    const { rows } = await application.query<{ schema: string }>(
      "select nspname as schema from pg_namespace where oid = pg_my_temp_schema()",
    );
    const source = await openSource(tables.url, { ...person, table: `${rows[0]?.schema ?? ""}.person` });
    const failure = await failureOf(source.describe().finally(() => source.close()));
    await application.end();
    expect(failure).toMatch(/^DATASET_UNSUITABLE: .*temporary table, which others don't see/);
  });

  it("says of another spelling which one it is", async () => {
    for (const [table, right] of [
      ["public.person", "person"],
      ['"person"', "person"],
      ['crm."person"', "crm.person"],
    ] as const) {
      const failure = await failureOf(openSource(tables.url, { ...person, table }));
      expect(failure).toMatch(/^DATASET_UNSUITABLE: /);
      expect(failure).toContain(`write ${right}`);
    }
    for (const table of ["", ".", "a.b.c", '"a', "a."]) {
      await expect(openSource(tables.url, { ...person, table })).rejects.toMatchObject({ code: "DATASET_UNSUITABLE" });
    }
  });

  it("takes the table in public, whatever search_path the user has", async () => {
    const [{ name } = {}] = await tables.query("select current_database() as name");
    await tables.query(`alter database ${String(name)} set search_path = crm, pg_temp`);
    try {
      const { rows } = await look(
        `${plain}; insert into person values (1, 'a', 'b', null); create schema crm; create table crm.person(id int)`,
      );
      expect(rows).toBe(1);
    } finally {
      await tables.query(`alter database ${String(name)} reset search_path`);
    }
  });

  it("proposes what is missing, and says what to know", async () => {
    const { advice } = await look(
      `create unlogged table person(id int primary key, email varchar(500), tenant text, token text); create index by_email on person(email);
       create function f() returns trigger language plpgsql as $$ begin return new; end $$;
       create trigger t before update on person for each row execute function f()`,
    );
    expect(advice).toEqual([
      'CREATE INDEX CONCURRENTLY "person_token" ON "public"."person" ("token")',
      expect.stringContaining('index "by_email" finds nothing in ciphertext'),
      expect.stringContaining('"t"'),
      expect.stringContaining("UNLOGGED"),
    ]);
    expect((await look(`${plain}; create index on person(token)`)).advice).toEqual([]);
  });

  it("refuses a column that is too short for the ciphertext of its longest value, and says what length fits", async () => {
    const named = { ...person, keyNameLengths: { email: "pii".length } };
    const table = (type: string, values: string): string =>
      `create table person(id int primary key, email ${type}, tenant text, token text); insert into person(id, email) values ${values}`;
    for (const [type, refused] of [
      ["varchar(70)", true],
      ["varchar(129)", true],
      ["varchar(130)", false],
    ] as const) {
      const failure = await failureOf(look(table(type, "(1, 'hello'), (2, 'you'), (3, 'ks1:' || repeat('x', 60))"), named));
      if (!refused) expect(failure).toBe("no error");
      else expect(failure).toMatch(/^DATASET_UNSUITABLE: .*longest value \(5 bytes\) has up to 130 characters: ALTER TABLE .* TYPE text$/);
    }
    expect(await failureOf(look(table("varchar(381)", "(1, 'hello')")))).toContain("up to 382 characters");
    expect(await failureOf(look(table("varchar(70)", "(1, 'ks1:' || repeat('x', 60)), (2, null)"), named))).toBe("no error");
    expect(await failureOf(look(table("varchar(70)", "(1, null)"), named))).toContain("(0 bytes) has up to 124 characters");
  });

  it("estimates the rows of a large table, and counts those of a smaller one", async () => {
    const large = `create table person(id int primary key, email text, tenant text, token text) partition by hash (id);
      create table person_0 partition of person for values with (modulus 2, remainder 0); create table person_1 partition of person for values with (modulus 2, remainder 1);
      insert into person(id) select generate_series(1, 1200000)`;
    await tables.createTable(large, person);
    await tables.query("analyze person");
    const source = await openSource(tables.url, person);
    try {
      await tables.query("delete from person where id % 10 = 0");
      const { rows } = await source.describe();
      expect(Math.abs(rows / 1_200_000 - 1)).toBeLessThan(0.05);
      await tables.query("truncate person");
      await tables.query("insert into person(id) select generate_series(1, 9)");
      expect((await source.describe()).rows).toBe(9);
    } finally {
      await source.close();
    }
  });

  it("names the grant that is missing, and never a value", async () => {
    await tables.query("do $$ begin create role limited login; exception when duplicate_object then null; end $$");
    const failure = await failureOf(look(plain, person, tables.url.replace("postgres@", "limited@")));
    expect(failure).toMatch(/^DATABASE_FAILED: /);
    expect(failure).toMatch(/GRANT USAGE on the schema and SELECT, UPDATE/);
  });

  it("says that a database isn't there, or can't be reached", async () => {
    for (const [url, message] of [
      [tables.url.replace(/[^/]*$/, "nobodys"), /no database of this name/],
      ["postgresql://postgres@127.0.0.1:1/crm", /can't be reached/],
    ] as const) {
      const source = await openSource(url, person);
      const failure = await failureOf(source.describe());
      expect(failure).toMatch(/^DATABASE_FAILED: /);
      expect(failure).toMatch(message);
      await source.close();
    }
    for (const url of ["postgresql://postgres@127.0.0.1/crm?pool=1", "postgresql://postgres@127.0.0.1/crm?schema=x"]) {
      await expect(openSource(url, person)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });
});
