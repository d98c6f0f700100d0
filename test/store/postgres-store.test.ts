import { describe, expect, it } from "vitest";
import { CompiledQuery } from "kysely";
import { systemClock } from "../../src/clock.ts";
import { clientConfigs } from "../../src/postgres/client-config.ts";
import { HostRing } from "../../src/postgres/host-ring.ts";
import { openPool } from "../../src/postgres/pool.ts";
import { parsePostgresUrl } from "../../src/postgres/postgres-url.ts";
import { PostgresDatabase } from "../../src/store/postgres/postgres-database.ts";
import { openPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import type { Store } from "../../src/store/store.ts";
import { testStore } from "../../src/testing/store.ts";
import { codeOf, metadataKey, newIdentity, noRows } from "./places.ts";
import { newPostgresPlace, type PostgresPlace } from "./postgres-place.ts";

testStore({ name: "PostgreSQL", describe, it, open: newPostgresPlace });

/** Runs a test in a schema with a new store. */
async function inNewStore(test: (place: PostgresPlace) => Promise<void>): Promise<void> {
  const place = await newPostgresPlace();
  try {
    await place.store.create(newIdentity, metadataKey, async ({ settings }) => {
      await settings.insert({ name: "count", value: "0" });
    });
    await test(place);
  } finally {
    await place.store.close();
    await place.dispose();
  }
}

const problems = async (store: Store): Promise<string[]> => (await store.verify()).map(({ table, problem }) => `${table}: ${problem}`);

describe("the structure of a PostgreSQL store", () => {
  it.each([
    [
      "a trigger",
      "create function f() returns trigger language plpgsql as 'begin return null; end'; create trigger t before insert on keys for each row execute function f()",
      "keys: Keystead did not make the trigger t",
    ],
    ["a rule", "create rule r as on insert to keys do instead nothing", "keys: the table keys has rules"],
    ["row-level security", "alter table keys enable row level security", "keys: row-level security is on for the table keys"],
    ["an unlogged table", "alter table keys set unlogged", "keys: the table keys is not kept through a crash (it is unlogged)"],
    ["a child table", "create table child () inherits (keys)", "keys: other tables inherit from the table keys, or it from them"],
    ["a further table", "create table other (a int)", "other: Keystead did not make the table other"],
    ["a view", "create view other as select 1 as a", "other: Keystead did not make the view other"],
    [
      "a view in place of a table",
      "alter table aliases rename to hidden; create view aliases as select * from hidden",
      "aliases: aliases is a view in place of a table",
    ],
    ["a missing table", "drop table aliases", "aliases: the table aliases is missing"],
    ["a missing constraint", "alter table keys drop constraint keys_name", "keys: nothing keeps its name unique"],
    ["a missing key", "alter table aliases drop constraint aliases_key", "aliases: nothing keeps its alias unique"],
    ["a unique index", "create unique index u on keys (purpose)", "keys: Keystead did not make the unique index u"],
    ["a further column", "alter table keys add column extra text", "keys: Keystead did not make the column extra"],
    ["another type", "alter table keys alter column purpose type varchar(10)", "keys: the column purpose is not as Keystead makes it"],
    [
      "another collation",
      'alter table keys alter column purpose type text collate "en-x-icu"',
      "keys: the column purpose is not as Keystead makes it",
    ],
    ["a lost NOT NULL", "alter table keys alter column purpose drop not null", "keys: the column purpose is not as Keystead makes it"],
    ["a missing column", "alter table keys drop column tags", "keys: the column tags is missing"],
  ])("shows %s", async (_, sql, problem) => {
    await inNewStore(async ({ store, run }) => {
      expect(await problems(store)).toEqual([]);
      await run(sql);
      expect(await problems(store)).toContain(problem);
    });
  });

  it("may have an index that somebody added", async () => {
    await inNewStore(async ({ store, run }) => {
      await run("create index i on keys (purpose)");
      expect(await problems(store)).toEqual([]);
    });
  });
});

describe("a PostgreSQL store", () => {
  it("is made in no schema of another program", async () => {
    const place = await newPostgresPlace();
    try {
      await place.run(`create schema ${place.schema}; create table ${place.schema}.person (id int)`);
      expect(await codeOf(async () => await place.store.create(newIdentity, metadataKey, noRows))).toBe("STORE_FAILED");
    } finally {
      await place.store.close();
      await place.dispose();
    }
  });

  it("says what a user lacks that may neither use nor make its schema", async () => {
    await inNewStore(async ({ url, schema, run }) => {
      const place = new URL(url);
      place.username = `${schema}_user`;
      await run(`create role ${place.username} login`);
      try {
        for (const where of [schema, `${schema}_new`]) {
          place.searchParams.set("schema", where);
          const store = await openPostgresStore(place.href, { clock: systemClock });
          await expect(store.create(newIdentity, metadataKey, noRows)).rejects.toMatchObject({
            code: "STORE_FAILED",
            message: expect.stringContaining("CREATE SCHEMA … AUTHORIZATION") as string,
          });
          await store.close();
        }
      } finally {
        await run(`drop role ${place.username}`);
      }
    });
  });

  it("waits for a writer as long as it may", async () => {
    await inNewStore(async ({ url, store }) => {
      const hasty = await openPostgresStore(url, { clock: systemClock, busyTimeout: 20 });
      await hasty.unlock(metadataKey);
      await store.transaction(async ({ settings }) => {
        await settings.list();
        expect(await codeOf(async () => await hasty.transaction(async (tables) => await tables.settings.list()))).toBe("STORE_BUSY");
        expect(await hasty.read(async (tables) => (await tables.settings.list()).length)).toBe(1);
      });
      await hasty.transaction(async (tables) => await tables.settings.insert({ name: "a", value: "" }));
      await hasty.close();
    });
  });

  it("survives the loss of its connections, and says so meanwhile", async () => {
    await inNewStore(async ({ store, run }) => {
      const kill = async (): Promise<void> => {
        await run(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'keystead' and datname = current_database()",
        );
      };
      const lost = store.transaction(async ({ settings }) => {
        await settings.insert({ name: "lost", value: "" });
        await kill();
        await settings.insert({ name: "lost too", value: "" });
      });
      await expect(lost).rejects.toMatchObject({ code: "STORE_FAILED", message: expect.stringContaining("can't be reached") as string });
      expect(await store.read(async ({ settings }) => (await settings.list()).map(({ name }) => name))).toEqual(["count"]);
      await kill();
      await store.transaction(async ({ settings }) => await settings.insert({ name: "kept", value: "" }));
      expect(await problems(store)).toEqual([]);
    });
  });

  it("commits durably where the database does not by itself, waits for locks only so long, and sees no rows hidden by policies", async () => {
    await inNewStore(async ({ url, schema }) => {
      const place = parsePostgresUrl(url, ["schema"]);
      const pool = await openPool(place, "test", 1);
      const options = {
        url,
        pool,
        listening: new HostRing(await clientConfigs(place, "test")),
        schema,
        clock: systemClock,
        readOnly: false,
        lockTimeout: 1234,
        statementTimeout: 5678,
      };
      const database = new PostgresDatabase(options);
      await pool.query("set synchronous_commit = off");
      const names = ["synchronous_commit", "lock_timeout", "statement_timeout", "search_path", "row_security", "transaction_isolation"];
      const settings = await database.sql.transaction().execute(async (sql) => {
        const query = `select ${names.map((name) => `current_setting('${name}') as ${name}`).join(", ")}`;
        return (await sql.executeQuery(CompiledQuery.raw(query))).rows;
      });
      await database.close();
      expect(settings).toEqual([
        {
          synchronous_commit: "on",
          lock_timeout: "1234ms",
          statement_timeout: "5678ms",
          search_path: `"${schema}", pg_temp`,
          row_security: "off",
          transaction_isolation: "read committed",
        },
      ]);
    });
  });

  it.each([
    ["nobody listens", "postgresql://postgres@127.0.0.1:1/postgres", "STORE_FAILED"],
    ["there is no such database", "/nowhere", "STORE_NOT_FOUND"],
    ["there is no such user", "nobody@/postgres", "STORE_FAILED"],
  ])("says what is wrong when %s", async (_, where, code) => {
    await inNewStore(async ({ url }) => {
      const place = new URL(url);
      if (where.startsWith("/")) place.pathname = where;
      else if (where.startsWith("nobody")) place.username = "nobody";
      const store = await openPostgresStore(where.startsWith("postgresql:") ? where : place.href, { clock: systemClock });
      expect(await codeOf(async () => await store.exists())).toBe(code);
      await store.close();
    });
  });

  it.each(["schema=pg_x", "schema=1a", "schema=a-b", "pool=0", "pool=x", "statement_timeout=0", "other=1"])(
    "refuses ?%s",
    async (parameter) => {
      expect(
        await codeOf(async () => await openPostgresStore(`postgresql://postgres@127.0.0.1/postgres?${parameter}`, { clock: systemClock })),
      ).toBe("INVALID_ARGUMENT");
    },
  );
});
