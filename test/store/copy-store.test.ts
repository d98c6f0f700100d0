import { describe, expect, it, onTestFinished } from "vitest";
import { copyStore } from "../../src/store/copy-store.ts";
import { layoutOf } from "../../src/store/sql/table-layout.ts";
import type { Store, StoreTables, Table } from "../../src/store/store.ts";
import { type StoredRecord, type TableName, tables } from "../../src/store/tables.ts";
import { otherValue, sampleRecord, tableNames, withValue } from "../../src/testing/store/samples.ts";
import { alteredStore } from "../support/test-parts.ts";
import { metadataKey, newIdentity, newMemoryPlace } from "./places.ts";

/** More than a page. */
const aliasCount = 501;

async function newPlace(): Promise<Store> {
  const { store, dispose } = await newMemoryPlace();
  onTestFinished(async () => {
    await store.close();
    await dispose();
  });
  return store;
}

/** A store with a row in each table, and with more aliases. */
async function newOriginal(aliases: number): Promise<Store> {
  const store = await newPlace();
  await store.create(newIdentity, metadataKey, async (opened) => {
    const insert = async <N extends TableName>(name: N, table: Table<N>): Promise<void> => {
      await table.insert(sampleRecord<N>(name, 1));
    };
    for (const name of tableNames) await inTable(name, opened, insert);
    for (let index = 0; index < aliases; index += 1) await opened.aliases.insert({ alias: `~ ${String(index)}`, keyId: "k" });
  });
  return store;
}

type TableWork = <N extends TableName>(name: N, table: Table<N>) => Promise<void>;

async function inTable<N extends TableName>(name: N, opened: Pick<StoreTables, N>, work: TableWork): Promise<void> {
  await work<N>(name, opened[name]);
}

/** What happens to the copy, by somebody who knows the metadata key or by a fault of the database, before it is compared. */
const changes = {
  "holds another value in": async (name, table) => {
    const row = await newestOf(table);
    const column = layoutOf(tables[name]).columns.at(-1);
    if (column === undefined) throw new Error("a table without columns");
    const value = Object.entries(row).find(([property]) => property === column.property)?.[1];
    await table.remove(row);
    await table.insert(withValue(name, row, column.property, otherValue(tables[name].name, column, value ?? null)));
  },
  "lacks a row of": async (_name, table) => {
    await table.remove(await newestOf(table));
  },
  "has a row more in": async (name, table) => {
    await table.insert(sampleRecord(name, 2));
  },
} satisfies Record<string, TableWork>;

async function newestOf<N extends TableName>(table: Table<N>): Promise<StoredRecord<N>> {
  const [row] = await table.list({}, { limit: 1, descending: true });
  if (row === undefined) throw new Error("no row was copied");
  return row;
}

/** Copies to a place whose rows are changed as soon as they are there. All of them have the MACs that they must have. */
async function copyTo(target: Store, aliases: number, change: (opened: StoreTables) => Promise<void>): Promise<number> {
  const changing = alteredStore(target, {
    create: async (...call) => {
      await target.create(...call);
      await target.transaction(change);
      expect(await target.verify()).toEqual([]);
    },
  });
  const options = { identity: newIdentity, metadataKey, leftOut: ["left out"] };
  const amend = async ({ settings }: StoreTables): Promise<void> => {
    await settings.insert({ name: "left out", value: "of the copy alone" });
  };
  return await copyStore(await newOriginal(aliases), changing, { ...options, amend });
}

describe("a copied store", () => {
  it("is taken when it holds what the original holds, apart from what was to differ", async () => {
    const target = await newPlace();
    expect(await copyTo(target, aliasCount, () => Promise.resolve())).toBe(tableNames.length + aliasCount);
    expect(await target.read(({ aliases }) => aliases.list())).toHaveLength(aliasCount + 1);
  });

  describe.each(Object.entries(changes))("that %s", (_, change: TableWork) => {
    it.each(tableNames)("%s is refused", async (name) => {
      const copying = copyTo(await newPlace(), name === "aliases" ? aliasCount : 0, (opened) => inTable(name, opened, change));
      await expect(copying).rejects.toMatchObject({
        code: "STORE_FAILED",
        message: expect.stringMatching(new RegExp(`^the copy's table ${tables[name].name} is not what the original holds`)) as string,
      });
    });
  });
});
