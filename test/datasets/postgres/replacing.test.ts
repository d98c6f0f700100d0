import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DatasetSource, ReplaceOutcome, RowReplacement, SourceRow } from "../../../src/datasets/source.ts";
import { text } from "../sqlite/cells.ts";
import { failureOf, layoutOf, openSource, TestTables } from "./database.ts";

const person = layoutOf("person", { valueColumns: ["email"], contextColumns: ["tenant"], indexColumns: ["token"] });
const plain =
  "create table person(id int primary key, email text, tenant text, token text); insert into person select i, 'value ' || i, 'acme' from generate_series(1, 20) i";
const withTrigger = (body: string, when = "before"): string =>
  `${plain}; create function f() returns trigger language plpgsql as $$ begin ${body} end $$;
   create trigger t ${when} update on person for each row execute function f()`;

describe("replacing rows of PostgreSQL tables", () => {
  let tables: TestTables;
  beforeAll(async () => {
    tables = await TestTables.create();
  });
  afterAll(async () => {
    await tables.dispose();
  });

  async function withRows(
    sql: string,
    work: (source: DatasetSource, rows: readonly SourceRow[]) => Promise<void>,
    url = tables.url,
  ): Promise<void> {
    await tables.createTable(sql, person);
    const source = await openSource(url, person);
    try {
      await work(source, (await source.readPage(undefined, 100)).rows);
    } finally {
      await source.close();
    }
  }

  const sealed = (
    row: SourceRow,
    value = `sealed ${String(row.locator[0] !== undefined && "value" in row.locator[0] ? row.locator[0].value : 0)}`,
  ): RowReplacement => ({
    locator: row.locator,
    expected: row.cells,
    set: { email: text(value) },
  });
  const emails = async (): Promise<unknown[]> => (await tables.query("select email from person order by id")).map(({ email }) => email);
  const summary = (outcomes: readonly ReplaceOutcome[]): string[] =>
    outcomes.map((outcome) => (typeof outcome === "string" ? outcome : outcome.error.message));

  const refusals: readonly (readonly [what: string, sql: string, message: RegExp])[] = [
    [
      "CHECK constraint",
      `${plain}; alter table person add constraint odd check (email <> 'sealed 7')`,
      /CHECK constraint refuses it \("odd"\)/,
    ],
    ["length", `${plain}; alter table person alter email type varchar(8)`, /replaced|longer than the column takes/],
    [
      "trigger that raises",
      withTrigger("if new.id = 7 then raise exception 'no: %', new.email; end if; return new;"),
      /a trigger of the table refuses it/,
    ],
    [
      "trigger that stores something else",
      withTrigger("if new.id = 7 then new.email = upper(new.email); end if; return new;"),
      /would store something else/,
    ],
    [
      "trigger that writes the row once more",
      withTrigger(
        "if new.id = 7 and new.email not like '%!' then update person set email = new.email || '!' where id = 7; end if; return null;",
        "after",
      ),
      /would store something else/,
    ],
    ["trigger that ignores the update", withTrigger("if new.id = 7 then return null; end if; return new;"), /ignores the update/],
    [
      "trigger that fails",
      withTrigger("if new.id = 7 then perform nobodys_function(); end if; return new;"),
      /a trigger of the table fails/,
    ],
    [
      "deferred constraint",
      `${plain}; create table o(email text primary key); insert into o select 'sealed ' || i from generate_series(1, 20) i where i <> 7;
       create function f() returns trigger language plpgsql as $$ begin if not exists (select from public.o where email = new.email) then raise foreign_key_violation; end if; return null; end $$;
       create constraint trigger t after update on person deferrable initially deferred for each row execute function f()`,
      /a foreign key refuses it/,
    ],
  ];
  for (const [what, sql, message] of refusals) {
    it(`lets a ${what} refuse one row among many`, async () => {
      await withRows(sql, async (source, rows) => {
        const outcomes = summary(await source.replace(rows.map((row) => sealed(row))));
        const after = await emails();
        for (const [index, outcome] of outcomes.entries()) {
          const isRefused = what === "length" ? index >= 9 : index === 6;
          expect(outcome).toMatch(isRefused ? message : /^replaced$/);
          expect(after[index]).toBe(`${isRefused ? "value" : "sealed"} ${String(index + 1)}`);
          expect(outcome).not.toMatch(/value \d|sealed \d/);
        }
      });
    });
  }

  it("waits for the application's row, and leaves it alone when it changed", async () => {
    await withRows(plain, async (source, rows) => {
      const application = new pg.Client({ connectionString: tables.url });
      await application.connect();
      await application.query("begin; update person set email = 'by the application' where id = 5");
      const replacing = source.replace(rows.map((row) => sealed(row)));
      await expect
        .poll(
          async () =>
            (await tables.query("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")).length,
        )
        .toBeGreaterThan(0);
      await application.query("commit");
      await application.end();
      expect(summary(await replacing)).toEqual(rows.map((_, index) => (index === 4 ? "changed" : "replaced")));
      expect((await emails())[4]).toBe("by the application");
    });
  });

  it("leaves rows that the application keeps locked to the next pass, and replaces the others", async () => {
    const application = new pg.Client({ connectionString: tables.url });
    await application.connect();
    const refusing = "if new.id = 7 then raise exception 'no'; end if; return new;";
    await withRows(
      withTrigger(refusing),
      async (source, rows) => {
        await application.query(
          "begin; update person set token = '1.AA' where id in (5, 12); select from person where id = 9 for key share",
        );
        const outcomes = summary(await source.replace(rows.map((row) => sealed(row))));
        const locked = [5, 12];
        expect(outcomes.filter((_, index) => index !== 6)).toEqual(
          rows.flatMap((_, index) => (index === 6 ? [] : locked.includes(index + 1) ? "changed" : "replaced")),
        );
        expect(outcomes[6]).toContain("refuses it");
        expect(summary(await source.replace(rows.slice(4, 5).map((row) => sealed(row))))).toEqual(["changed"]);
        await application.query("rollback");
        const again = await source.replace(rows.map((row) => sealed(row)));
        expect(summary(again).flatMap((outcome, index) => (outcome === "replaced" ? index + 1 : []))).toEqual(locked);
      },
      `${tables.url}?lock_timeout=50`,
    ).finally(() => application.end());
  });

  it("says that the application keeps the table locked", async () => {
    const application = new pg.Client({ connectionString: tables.url });
    await application.connect();
    await withRows(
      plain,
      async (source, rows) => {
        await application.query("begin; lock table person in share mode");
        const failure = await failureOf(source.replace(rows.map((row) => sealed(row))));
        expect(failure).toMatch(/^DATABASE_FAILED: /);
        expect(failure).toContain("lock_timeout");
        await application.query("rollback");
        expect(new Set((await emails()).map((email) => String(email).split(" ")[0]))).toEqual(new Set(["value"]));
      },
      `${tables.url}?lock_timeout=50`,
    ).finally(() => application.end());
  });

  it("begins again when the database ends a deadlock at its cost", async () => {
    const application = new pg.Client({ connectionString: tables.url });
    await application.connect();
    // The application waits for longer before it looks for a deadlock, so it isn't the one that is given up.
    await application.query("set deadlock_timeout = '100s'");
    const deadlocks = async (): Promise<unknown> => {
      const [row] = await tables.query("select deadlocks::int from pg_stat_database where datname = current_database()");
      return row?.["deadlocks"];
    };
    await withRows(plain, async (source, rows) => {
      const before = await deadlocks();
      const [first] = rows;
      const last = rows.at(-1);
      if (first === undefined || last === undefined) throw new Error("the table is empty");
      await application.query("begin; update person set tenant = 'x' where id = 1");
      // Of different columns, so that they are two statements, in this order.
      const replacing = source.replace([{ ...sealed(last), set: { token: text("1.AA") } }, sealed(first)]);
      await expect
        .poll(
          async () =>
            (await tables.query("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")).length,
        )
        .toBeGreaterThan(0);
      await application.query("update person set tenant = 'x' where id = 20; commit");
      expect(summary(await replacing)).toEqual(["changed", "changed"]);
      await expect.poll(deadlocks, { timeout: 10_000 }).toBe(Number(before) + 1);
    }).finally(() => application.end());
  });

  it("goes on after lost connections, and fails with a clear error when one is lost in the middle", async () => {
    await withRows(plain, async (source, rows) => {
      const kill =
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'keystead dataset' and datname = current_database()";
      await tables.query(kill);
      expect((await source.readPage(undefined, 5)).rows).toHaveLength(5);
      const application = new pg.Client({ connectionString: tables.url });
      await application.connect();
      await application.query("begin; update person set tenant = tenant where id = 5");
      const replacing = expect(source.replace(rows.map((row) => sealed(row)))).rejects.toMatchObject({ code: "DATABASE_FAILED" });
      await expect
        .poll(
          async () =>
            (await tables.query("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")).length,
        )
        .toBeGreaterThan(0);
      await tables.query(kill);
      await replacing;
      await application.query("rollback");
      await application.end();
      expect(summary(await source.replace(rows.map((row) => sealed(row))))).toEqual(rows.map(() => "replaced"));
    });
  });

  it("follows changes of the table", async () => {
    await withRows(plain, async (source, rows) => {
      await tables.query("alter table person alter id type bigint, alter email type varchar(4000)");
      expect(summary(await source.replace(rows.map((row) => sealed(row))))).toEqual(rows.map(() => "replaced"));
      await tables.query("alter table person drop constraint person_pkey");
      const failure = await failureOf(source.readPage(undefined, 1));
      expect(failure).toMatch(/^DATASET_UNSUITABLE: /);
      expect(failure).toContain("unique");
      await tables.query("alter table person add primary key (id); alter table person enable row level security, force row level security");
      await tables.query("do $$ begin create role limited login; exception when duplicate_object then null; end $$");
      await tables.query("grant all on schema public to limited; grant all on person to limited");
      const limited = await openSource(tables.url.replace("postgres@", "limited@"), person);
      for (const work of [
        () => limited.readPage(undefined, 1),
        () => limited.countHeaders(),
        () => limited.replace(rows.map((row) => sealed(row))),
      ]) {
        const failure = await failureOf(work());
        expect(failure).toMatch(/^DATASET_UNSUITABLE: /);
        expect(failure).toContain("row-level security");
      }
      await limited.close();
    });
  });

  for (const [chosen, used] of [
    ["off", "on"],
    ["local", "on"],
    ["remote_write", "on"],
    ["on", "on"],
    ["remote_apply", "remote_apply"],
  ] as const) {
    it(`commits as with synchronous_commit=${used} where the database has ${chosen}`, async () => {
      const [{ name } = {}] = await tables.query("select current_database() as name");
      await tables.query(`alter database ${String(name)} set synchronous_commit = ${chosen}`);
      try {
        await withRows(withTrigger("new.tenant = current_setting('synchronous_commit'); return new;"), async (source, rows) => {
          await source.replace(rows.slice(0, 1).map((row) => sealed(row)));
          expect(await tables.query("select tenant from person where id = 1")).toEqual([{ tenant: used }]);
        });
      } finally {
        await tables.query(`alter database ${String(name)} reset synchronous_commit`);
      }
    });
  }

  it("reads large rows in small pages, and writes them", async () => {
    await withRows(
      `create table person(id int primary key, email text, tenant text, token text); insert into person select i, repeat('x', case when i > 8 then 10000000 else 300000 end) from generate_series(1, 10) i`,
      async (source) => {
        const pages: (readonly SourceRow[])[] = [];
        for (let page = await source.readPage(undefined, 100); ; page = await source.readPage(page.next, 100)) {
          pages.push(page.rows);
          if (page.next === undefined) break;
        }
        expect(pages.map((page) => page.length)).toEqual([4, 4, 1, 1]);
        const [first = []] = pages;
        const value = "y".repeat(9_000_000);
        expect(summary(await source.replace(first.map((row) => sealed(row, value))))).toEqual(first.map(() => "replaced"));
      },
    );
  });
});
