import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { DatasetSource, ReplaceOutcome, SourceLayout, SourceRow } from "../../../src/datasets/source.ts";
import { canaries } from "../../setup/canary.ts";
import { createTestDatabase } from "../../support/postgres-database.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";
import { blob, integer, nothing, real, text } from "../sqlite/cells.ts";
import { failureOf, layoutOf, openSource, TestTables } from "./database.ts";

const phone = layoutOf("person", { valueColumns: ["profile.phone"] });
const tableOf = (type: string): string => `create table person(id int primary key, profile ${type}, tenant text, token text)`;

describe("paths into documents of PostgreSQL tables", () => {
  let tables: TestTables;
  beforeAll(async () => {
    tables = await TestTables.create();
  });
  afterAll(async () => {
    await tables.dispose();
  });

  async function withRows(
    sql: string,
    documents: readonly (string | null)[],
    work: (source: DatasetSource, rows: readonly SourceRow[]) => Promise<void>,
    layout: SourceLayout = phone,
  ): Promise<void> {
    await tables.createTable(sql, layout);
    for (const [id, document] of documents.entries()) await tables.query("insert into person(id, profile) values ($1, $2)", [id, document]);
    const source = await openSource(tables.url, layout);
    try {
      await work(source, (await source.readPage(undefined, 1000)).rows);
    } finally {
      await source.close();
    }
  }
  const documents = async (): Promise<unknown[]> =>
    (await tables.query("select profile::text as profile from person order by id")).map(({ profile }) => profile);
  const summary = (outcomes: readonly ReplaceOutcome[]): string[] =>
    outcomes.map((outcome) => (typeof outcome === "string" ? outcome : outcome.error.message));
  const seal = async (source: DatasetSource, rows: readonly SourceRow[], names = ["profile.phone"]): Promise<string[]> => {
    const set = Object.fromEntries(names.map((name) => [name, text(`sealed ${name}`)]));
    return summary(await source.replace(rows.map(({ locator, cells }) => ({ locator, expected: cells, set }))));
  };

  for (const type of ["json", "jsonb"]) {
    it(`takes what is not there for NULL in ${type}, and puts nothing there`, async () => {
      const empty = [null, "null", "{}", '{"phone": null}', "[]", '["phone"]', '"phone"', "7", '{"Phone": "1"}'];
      await withRows(tableOf(type), empty, async (source, rows) => {
        expect(rows.map(({ cells }) => cells["profile.phone"])).toEqual(empty.map(() => nothing));
        expect(await source.countHeaders()).toEqual([{ column: "profile.phone", kind: "null", count: empty.length }]);
        const before = await documents();
        const outcomes = await seal(source, rows);
        expect(outcomes.map((outcome) => outcome === "replaced")).toEqual(empty.map((document) => document === '{"phone": null}'));
        expect((await documents()).filter((document) => !String(document).includes("sealed"))).toEqual(before.toSpliced(3, 1));
      });
    });

    it(`leaves alone in ${type} what the application changes elsewhere in the document meanwhile`, async () => {
      await withRows(tableOf(type), ['{"phone": "1", "city": "a"}', '{"phone": "2", "city": "a"}'], async (source, rows) => {
        const application = new pg.Client({ connectionString: tables.url });
        await application.connect();
        await application.query(`begin; update person set profile = jsonb_set(profile::jsonb, '{city}', '"b"') || '{"new": 1}'`);
        await application.query(`update person set profile = jsonb_set(profile::jsonb, '{phone}', '"3"') where id = 1`);
        const replacing = seal(source, rows);
        await expect
          .poll(
            async () =>
              (await tables.query("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")).length,
          )
          .toBeGreaterThan(0);
        await application.query("commit");
        await application.end();
        expect(await replacing).toEqual(["replaced", "changed"]);
        expect((await documents()).map((document) => JSON.parse(String(document)) as unknown)).toEqual([
          { phone: "sealed profile.phone", city: "b", new: 1 },
          { phone: "3", city: "b", new: 1 },
        ]);
      });
    });

    it(`writes several paths of one document together, in ${type}`, async () => {
      const layout = layoutOf("person", { valueColumns: ["profile.phone", 'profile."a.b"."".c', "profile.'x'"] });
      await withRows(
        tableOf(type),
        [`{"phone": "1", "a.b": {"": {"c": "2"}}, "'x'": "3", "d": 1.50}`],
        async (source, rows) => {
          expect(Object.values(rows[0]?.cells ?? {})).toEqual([integer(0), text("1"), text("2"), text("3")]);
          expect(await seal(source, rows, layout.valueColumns.slice())).toEqual(["replaced"]);
          expect(JSON.parse(String((await documents())[0]))).toEqual({
            phone: "sealed profile.phone",
            "a.b": { "": { c: 'sealed profile."a.b"."".c' } },
            "'x'": "sealed profile.'x'",
            d: 1.5,
          });
        },
        layout,
      );
    });
  }

  it("writes back what is no string as it was, and refuses what JSON would write otherwise", async () => {
    const values = ["1e3", "-0", "1.50", "12345678901234567890", "true", '{"a": [1, null]}'];
    await withRows(
      tableOf("jsonb"),
      values.map((value) => `{"phone": ${value}}`),
      async (source, rows) => {
        const cells = rows.map((row) => row.cells["profile.phone"] ?? nothing);
        expect(cells.slice(0, 3)).toEqual([integer(1000), integer(0), blob(...Buffer.from("1.50"))]);
        const before = await documents();
        expect(new Set(await seal(source, rows))).toEqual(new Set(["replaced"]));
        const sealed = (await source.readPage(undefined, 100)).rows;
        const back = sealed.map(({ locator, cells: expected }, index) => ({
          locator,
          expected,
          set: { "profile.phone": cells[index] ?? nothing },
        }));
        expect(new Set(await source.replace(back))).toEqual(new Set(["replaced"]));
        expect(await documents()).toEqual(before);
        const [row] = rows;
        for (const unfit of [real(Number.NaN), real(-0), real(1e300), blob(0x22, 0x22), blob(0xff), blob(0x7b)]) {
          const [outcome] = await source.replace([{ locator: row?.locator ?? [], expected: {}, set: { "profile.phone": unfit } }]);
          expect(outcome).toMatchObject({ error: { code: "DATABASE_FAILED" } });
        }
        expect(await source.replace([{ locator: row?.locator ?? [], expected: {}, set: { "profile.phone": real(3.25) } }])).toEqual([
          "replaced",
        ]);
        expect((await documents())[0]).toBe('{"phone": 3.25}');
      },
    );
  });

  it("reads json that jsonb has no room for, counts it, and never writes it with less in it", async () => {
    const odd = [
      '{"phone": "1", "other": "\\u0000"}',
      '{"phone": "1", "other": "\\ud800"}',
      '{"phone": "1", "other": {"twice": 1, "twice": 2}}',
      '{"phone": "1", "phone": "2"}',
      '{"phone": "1", "other": [{"a": 1, "a": 1}]}',
      '{"phone": "1", "other": 1e999999}',
    ];
    const good = [
      '{"phone": "1", "other": "\\ud83d\\ude00 \\\\u0000 \\\\ud800"}',
      ' {"size" : 1.50, "phone" : "\\u0031", "a": [{"b": 1}, {"b": 1}]} ',
    ];
    await withRows(tableOf("json"), [...odd, ...good], async (source, rows) => {
      expect(rows.map(({ cells }) => cells["profile.phone"])).toEqual(["1", "1", "1", "2", "1", "1", "1", "1"].map(text));
      expect(await source.countHeaders()).toEqual([{ column: "profile.phone", kind: "plaintext", count: 8 }]);
      const outcomes = await seal(source, rows);
      const [zero, surrogate, twice, ...others] = outcomes;
      expect([zero, surrogate, twice].every((outcome) => outcome?.startsWith("row can't be written: "))).toBe(true);
      expect(zero).toMatch(/\\u0000/);
      expect(twice).toMatch(/has a key twice/);
      expect(others.map((outcome) => outcome === "replaced")).toEqual([false, false, false, true, true]);
      const after = await documents();
      expect(after.slice(0, odd.length)).toEqual(odd);
      expect(JSON.parse(String(after[6]))).toEqual({ phone: "sealed profile.phone", other: "😀 \\u0000 \\ud800" });
      expect(JSON.parse(String(after[7]))).toEqual({ phone: "sealed profile.phone", size: 1.5, a: [{ b: 1 }, { b: 1 }] });
    });
  });

  it("takes a column for itself whose name has a dot", async () => {
    const sql = `create table person(id int primary key, profile jsonb, "profile.phone" text, "profile.x" jsonb); insert into person values (1, '{"phone": "inside"}', 'beside', '{"y": "deep"}')`;
    const layout = layoutOf("person", { valueColumns: ["profile.phone", '"profile.x".y'] });
    await withRows(
      sql,
      [],
      async (source, [row]) => {
        expect(row?.cells).toEqual({ id: integer(1), "profile.phone": text("beside"), '"profile.x".y': text("deep") });
        const set = { "profile.phone": text("a"), '"profile.x".y': text("b") };
        expect(await source.replace([{ locator: row?.locator ?? [], expected: row?.cells ?? {}, set }])).toEqual(["replaced"]);
        expect(await tables.query('select profile, "profile.phone", "profile.x" from person')).toEqual([
          { profile: { phone: "inside" }, "profile.phone": "a", "profile.x": { y: "b" } },
        ]);
      },
      layout,
    );
  });

  const refused: readonly (readonly [what: string, layout: Partial<SourceLayout>, message: RegExp])[] = [
    ["key", { keyColumns: ["id", "profile.id"] }, /"profile\.id" is inside a document/],
    ["context", { contextColumns: ["profile.tenant"] }, /"profile\.tenant" is inside a document/],
    ["token", { indexColumns: ["profile.token"] }, /"profile\.token" is inside a document/],
    ["document as context", { contextColumns: ["profile"] }, /"profile" holds "profile\.phone", and changes with it/],
    ["path inside another", { valueColumns: ["profile.phone", "profile.phone.home"] }, /"profile\.phone" and something inside it/],
    ["whole document", { valueColumns: ["profile"] }, /"profile" is jsonb: name what is to be protected in it, as profile\.key/],
    ["path in another spelling", { valueColumns: ['profile."phone"'] }, /write profile\.phone/],
    ["path into text", { valueColumns: ["tenant.phone"] }, /no column "tenant\.phone"/],
    ["path without a key", { valueColumns: ["profile."] }, /no column "profile\."/],
  ];
  for (const [what, columns, message] of refused) {
    it(`refuses a ${what}`, async () => {
      const layout = layoutOf("person", { valueColumns: ["profile.phone"], ...columns });
      await tables.createTable(tableOf("jsonb"), layout);
      const source = await openSource(tables.url, layout);
      const failure = await failureOf(source.describe().finally(() => source.close()));
      expect(failure).toMatch(/^DATASET_UNSUITABLE: /);
      expect(failure).toMatch(message);
    });
  }

  it("refuses a document that is unique, or decides the partition", async () => {
    for (const [sql, message] of [
      ["create table person(id int primary key, profile jsonb unique)", /"profile" is part of a unique key/],
      ["create table person(id int, profile jsonb, primary key (id, profile)) partition by hash (profile)", /not declared unique/],
    ] as const) {
      await tables.createTable(sql, phone);
      const source = await openSource(tables.url, phone);
      expect(await failureOf(source.describe().finally(() => source.close()))).toMatch(message);
    }
  });
});

it("shares no document with another dataset, unless each has its own place in it", async () => {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query("create table person(id int primary key, profile jsonb, name text)");
  const { keystead } = await createTestKeystead({ databases: { crm: database.url } });
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  const add = (name: string, columns: readonly string[], context?: Record<string, string>): Promise<string> => {
    const protectedColumns = Object.fromEntries(columns.map((column, index) => [`c${String(index)}`, { key: "pii", column }]));
    const definition = { database: "crm", table: "person", keyColumns: ["id"], columns: protectedColumns };
    return failureOf(keystead.datasets.add(name, { ...definition, ...(context !== undefined && { context }) }));
  };
  expect(await add("one", ["profile.phone"])).toBe("no error");
  expect(await add("two", ["profile.phones"])).toBe("no error");
  for (const [columns, context] of [
    [["profile.phone"], undefined],
    [["profile.phone.home"], undefined],
    [["name"], { "row.id": "{id}", profile: "{profile}" }],
  ] as const) {
    expect(await add("three", columns, context)).toMatch(/^DATASET_UNSUITABLE: dataset one protects column profile\.phone of table person/);
  }
});

for (const type of ["jsonb", "json"] as const) {
  it(`protects, moves, finds and gives back a value inside ${type}, and nothing else changes`, async () => {
    const database = await createTestDatabase();
    onTestFinished(() => database.dispose());
    await database.query(`create table person(id int primary key, profile ${type}, phone_index text)`);
    const document = `jsonb_build_object('phone', case i % 10 when 3 then to_jsonb(i) when 4 then 'true' when 5 then 'null' else to_jsonb('+49 30 ' || (100000 + i)) end,
      'size', 1.50, 'tags', '[1, null, {"phone": "other"}]'::jsonb, 'Ünï', 'ks1:no') - case i % 10 when 6 then 'phone' else '' end`;
    await database.query(`insert into person select i, ${document} from generate_series(1, 1200) i`);
    await database.query("update person set profile = jsonb_set(profile::jsonb, '{phone}', to_jsonb($1::text)) where id = 1", [
      canaries.email.text,
    ]);
    const before = await database.query("select id, profile::text from person order by id");
    const { keystead } = await createTestKeystead({ databases: { crm: database.url } });
    const { keys, datasets } = keystead;
    await keys.create({ name: "pii", purpose: "pii" });
    await keys.create({ name: "bi", purpose: "pii", usage: "blind-index" });
    await datasets.add("crm.person", {
      database: "crm",
      table: "person",
      keyColumns: ["id"],
      columns: { phone: { key: "pii", column: "profile.phone" } },
      indexes: { phone: { columns: ["phone"], column: "phone_index", key: "bi", kind: "exact", normalisers: ["digits"], bits: 24 } },
    });
    expect((await datasets.protect("crm.person")).progress).toMatchObject({ values: 960, problems: 0 });
    await keys.rotate("pii");
    await datasets.reencrypt("crm.person");
    const { columns } = await datasets.takeCensus("crm.person");
    expect(columns).toMatchObject([{ plaintext: 0, nulls: 240, versions: [{ standing: "current", count: 960 }] }]);
    const [sealed] = await database.query("select profile from person where id = 77");
    expect(sealed?.["profile"]).toMatchObject({
      size: 1.5,
      tags: [1, null, { phone: "other" }],
      phone: expect.stringMatching(/^ks1:pii:2-/) as unknown,
    });
    const { rows } = await datasets.find("crm.person", "phone", ["49 30 100077"]);
    expect(rows.map(({ row, values }) => [row["id"], values["phone"]])).toEqual([["77", "+49 30 100077"]]);
    expect((await datasets.unprotect("crm.person")).progress).toMatchObject({ problems: 0 });
    expect(await database.query("select id, profile::text from person order by id")).toEqual(before);
  });
}
