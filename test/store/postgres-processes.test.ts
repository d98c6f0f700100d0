import { describe, expect, it, onTestFinished } from "vitest";
import { SqlStore } from "../../src/store/sql/sql-store.ts";
import { startChild } from "../support/child.ts";
import { metadataKey, newIdentity, noRows } from "./places.ts";
import { newPostgresPlace, type PostgresPlace } from "./postgres-place.ts";
import { openRawPostgres } from "./raw-postgres.ts";

const program = new URL("fixtures/postgres-starter.ts", import.meta.url);

async function emptyPlace(): Promise<PostgresPlace> {
  const place = await newPostgresPlace();
  onTestFinished(async () => {
    await place.store.close();
    await place.dispose();
  });
  return place;
}

/** What ten processes say that begin at once. */
async function tenAtOnce(mode: "create" | "migrate", url: string): Promise<string[]> {
  const children = Array.from({ length: 10 }, () => startChild(program, [mode, url]));
  for (const child of children) expect(await child.nextLine()).toBe("ready");
  for (const child of children) child.process.stdin?.write("go\n");
  return (await Promise.all(children.map(async (child) => await child.finish()))).flat().sort();
}

describe("ten processes that begin at once on PostgreSQL", () => {
  it("make one store; the others are told that there is one", async () => {
    const place = await emptyPlace();
    expect(await tenAtOnce("create", place.url)).toEqual([...Array<string>(9).fill("STORE_EXISTS"), "create whole"]);
    await place.store.unlock(metadataKey);
    expect(await place.store.read(async ({ settings }) => (await settings.list()).length)).toBe(1);
  });

  it("migrate it once; programs that are older than it refuse it from then on", async () => {
    const place = await emptyPlace();
    await place.store.create(newIdentity, metadataKey, noRows);
    expect(await tenAtOnce("migrate", place.url)).toEqual(Array<string>(10).fill("migrate whole"));
    const lines = await place.sql.selectFrom("audit_lines").select("writer").execute();
    expect(lines).toEqual([{ writer: "migration" }]);
    // Also a program that has it open.
    for (const use of [() => place.store.read(noRows), () => place.store.transaction(noRows)])
      await expect(use()).rejects.toMatchObject({ code: "STORE_SCHEMA_NEWER" });
    const old = new SqlStore(await openRawPostgres(place.url));
    onTestFinished(() => old.close());
    for (const open of [() => old.unlock(metadataKey), () => old.header(), () => old.migrate()])
      await expect(open()).rejects.toMatchObject({ code: "STORE_SCHEMA_NEWER", message: expect.stringContaining("upgrade") as string });
    await expect(old.create(newIdentity, metadataKey, noRows)).rejects.toMatchObject({ code: "STORE_EXISTS" });
  });
});
