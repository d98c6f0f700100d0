import { randomUUID } from "node:crypto";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { initKeystead } from "../../src/keystead.ts";
import { shareCompileCache } from "../datasets/support/killed-job.ts";
import { startChild } from "../support/child.ts";
import { createTestDatabase } from "../support/postgres-database.ts";
import { testMasterKeys } from "../support/test-keystead.ts";

const program = new URL("../datasets/support/measured-worker.ts", import.meta.url);

shareCompileCache();

/** Text of so many bytes, another for each row. */
const textOf = (bytes: number): string => `repeat(md5(i::text), ${String(bytes / 32)})`;

/** The most memory of processes of their own that protect, count and re-encrypt a table of such values, in MiB. */
async function measure(type: "text" | "bytea", bytes: number, rows: number): Promise<Record<"census" | "protect" | "reencrypt", number>> {
  const database = await createTestDatabase();
  onTestFinished(() => database.dispose());
  await database.query(`create table person (id bigint primary key, scan ${type})`);
  const value = type === "text" ? textOf(bytes) : `convert_to(${textOf(bytes)}, 'UTF8')`;
  await database.query(`insert into person select i, ${value} from generate_series(1, $1) i`, [rows]);
  const store = `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`;
  const keystead = await initKeystead({ store, masterKeys: testMasterKeys, databases: { crm: database.url } });
  onTestFinished(() => keystead.close());
  await keystead.keys.create({ name: "pii", purpose: "pii" });
  await keystead.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns: { scan: { key: "pii" } } });
  const memoryOf = async (work: string): Promise<number> => {
    const [end, memory] = ((await startChild(program, [store, database.url, work]).finish()).at(-1) ?? "").split(" ");
    expect(end).toBe("done");
    return Number(memory);
  };
  // The first process compiles, which takes memory, too.
  await memoryOf("verify");
  const protect = await memoryOf("protect");
  await keystead.keys.rotate("pii");
  const reencrypt = await memoryOf("reencrypt");
  const most = { protect, reencrypt, census: await memoryOf("census") };
  const { columns } = await keystead.datasets.takeCensus("crm.person");
  expect(columns).toMatchObject([{ plaintext: 0, versions: [{ count: rows, standing: "current" }] }]);
  process.stdout.write(`${type}, ${String(bytes / 1e6)} MB: ${JSON.stringify(most)}\n`);
  return most;
}

describe("a worker stays under 200 MiB", () => {
  // Together far more than a page of 1 MiB.
  it.each([
    ["text", 100_000, 600],
    ["bytea", 100_000, 600],
    ["text", 2_000_000, 20],
    ["bytea", 4_000_000, 12],
    // How long garbage waits is also up to what else the machine does.
  ] as const)("where values are %s of %i bytes", { timeout: 300_000, retry: 2 }, async (type, bytes, rows) => {
    const { protect, reencrypt, census } = await measure(type, bytes, rows);
    expect(Math.max(protect, reencrypt, census)).toBeLessThan(200);
  });
});

describe("a worker takes what one value needs several times over, however many there are,", () => {
  it.each([
    ["text", 380],
    ["bytea", 300],
  ] as const)("where values are %s of 10 MB: less than %i MiB", { timeout: 300_000, retry: 2 }, async (type, limit) => {
    const { protect, reencrypt, census } = await measure(type, 10_000_000, 6);
    expect(Math.max(protect, reencrypt)).toBeLessThan(limit);
    expect(census).toBeLessThan(200);
  });
});
