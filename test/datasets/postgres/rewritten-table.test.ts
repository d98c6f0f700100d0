import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DatasetSource } from "../../../src/datasets/source.ts";
import { layoutOf, openSource, TestTables } from "./database.ts";

const layout = layoutOf("person", { valueColumns: ["email"], indexColumns: ["token"], plaintextColumns: ["plain"] });
const values =
  "insert into person(id, email, token, plain) select i, case when i <= 500 then 'ks1:a:1-k7f2qd:' || repeat('A', 40) end, '1.QUJD', 'x' " +
  "from generate_series(1, 1000) i";

const changes: Readonly<Record<string, string>> = {
  "an altered type": "alter table person alter column id type bigint",
  truncation: "create table kept as table person; truncate person; insert into person table kept",
  "another table of its name":
    "create table kept (like person including all); insert into kept table person; drop table person; alter table kept rename to person",
  "another partition":
    "create table kept (like person_1 including all); insert into kept table person; drop table person_1; alter table person attach partition kept default",
  "the same rows in another file": "cluster person using person_pkey",
};

interface Reading {
  readonly read: (source: DatasetSource) => Promise<unknown>;
  readonly result: unknown;
}

const readings: Readonly<Record<string, Reading>> = {
  "a census": {
    read: async (source) => (await source.countHeaders()).map(({ kind, count }) => `${kind} ${String(count)}`).sort(),
    result: ["ciphertext 500", "null 500"],
  },
  "a count of tokens": {
    read: async (source) => (await source.countGenerations()).map(({ generation, count }) => [generation, count]),
    result: [[1, 1000]],
  },
  "a count of what has no ciphertext": {
    read: async (source) => source.countUncovered?.([{ plaintext: "plain", column: "email" }]),
    result: [500],
  },
  "a page": { read: async (source) => (await source.readPage(undefined, 1000)).rows.length, result: 1000 },
  "a search": {
    read: async (source) => (await source.findByTokens([{ column: "token", tokens: ["1.QUJD"] }], undefined, 1000)).rows.length,
    result: 1000,
  },
  "a step over rows": { read: async (source) => (await source.skip(undefined, 1000)) !== undefined, result: true },
};

describe("a table that was written anew while a reader waited for it", () => {
  let tables: TestTables;
  beforeAll(async () => {
    tables = await TestTables.create();
  });
  afterAll(async () => {
    await tables.dispose();
  });

  const cases = [
    ...Object.keys(changes).map((change) => [change, "a census"] as const),
    ...Object.keys(readings).map((reading) => ["an altered type", reading] as const),
  ];
  it.each(cases)("does not look empty: %s, %s", async (name, reading) => {
    const change = changes[name] ?? "";
    const form = change.includes("person_1") ? " partition by range (id); create table person_1 partition of person default" : "";
    await tables.createTable(`create table person(id int primary key, email text, token text, plain text)${form}; ${values}`, layout);
    const other = new pg.Client({ connectionString: tables.url });
    await other.connect();
    const source = await openSource(tables.url, layout);
    try {
      await other.query("begin; lock table person in access exclusive mode");
      const found = readings[reading]?.read(source);
      await expect
        .poll(() => tables.query("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"), {
          interval: 5,
        })
        .toHaveLength(1);
      await other.query(`${change}; commit`);
      expect(await found).toEqual(readings[reading]?.result);
    } finally {
      await source.close();
      await other.end();
    }
  });
});
