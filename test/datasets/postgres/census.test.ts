import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cell, HeaderCount } from "../../../src/datasets/source.ts";
import { headerText, sealedCell } from "../../../src/testing/dataset-source/ciphertext.ts";
import { failureOf, layoutOf, openSource, TestTables } from "./database.ts";

const layout = layoutOf("person", { valueColumns: ["email", "scan"], indexColumns: ["token"] });
const plain = "create table person(id serial primary key, email text, scan bytea, token text)";

/** Ciphertext with a character or two changed, left out or put in. */
function damaged(form: "text" | "binary" | "stream"): fc.Arbitrary<Buffer> {
  const piece = fc.oneof(
    fc.constantFrom(":", "/", ".", "-", "_", "=", "A", "B", "0", "9", "\n", " ", "ks1:", ":::"),
    fc.string({ unit: "grapheme", maxLength: 2 }),
  );
  return fc.tuple(fc.constantFrom("a", "b"), fc.array(fc.tuple(fc.nat(60), fc.nat(3), piece), { maxLength: 2 })).map(([seed, edits]) => {
    const cell = sealedCell(form, seed, "acme/pii", "12-k7f2qd");
    let whole = "bytes" in cell ? Buffer.from(cell.bytes).toString("latin1") : "";
    for (const [at, out, put] of edits) whole = whole.slice(0, at) + Buffer.from(put).toString("latin1") + whole.slice(at + out);
    return Buffer.from(whole, "latin1");
  });
}

describe("the census of PostgreSQL tables", () => {
  let tables: TestTables;
  beforeAll(async () => {
    tables = await TestTables.create();
  });
  afterAll(async () => {
    await tables.dispose();
  });

  it("agrees with the strict parser about damaged ciphertext", async () => {
    const samples = fc.sample(damaged("text"), { numRuns: 600, seed: 7 }).filter((bytes) => !bytes.includes(0));
    const blobs = [...fc.sample(damaged("binary"), { numRuns: 600, seed: 7 }), ...fc.sample(damaged("stream"), { numRuns: 600, seed: 8 })];
    await tables.createTable(plain, layout);
    const texts = samples.map((bytes) => bytes.toString());
    await tables.query("insert into person(email, scan) select * from unnest($1::text[], $2::bytea[])", [texts, blobs]);
    const cells: Record<string, Cell[]> = {
      email: texts.map((text) => ({ type: "text", bytes: Buffer.from(text) })),
      scan: blobs.map((bytes) => ({ type: "blob", bytes })),
    };
    const source = await openSource(tables.url, layout);
    const counts = await source.countHeaders();
    await source.close();
    for (const column of layout.valueColumns) {
      const wanted: Record<string, number> = {};
      for (const cell of cells[column] ?? []) wanted[headerText(cell)] = (wanted[headerText(cell)] ?? 0) + 1;
      const found = counts.filter((count) => count.column === column && count.kind !== "null").map((count) => [textOf(count), count.count]);
      expect(Object.fromEntries(found)).toEqual(wanted);
      expect(Object.keys(wanted).length).toBeGreaterThan(2);
    }
  });

  it("stops what the database does when it is cancelled", async () => {
    await tables.createTable(
      `${plain}; insert into person(email) select 'ks1:a:1-k7f2qd:' || repeat('A', 2000) from generate_series(1, 200000)`,
      layout,
    );
    const source = await openSource(tables.url, layout);
    const cancelling = new AbortController();
    const counting = expect(source.countHeaders(cancelling.signal)).rejects.toMatchObject({ code: "CANCELLED" });
    const active =
      "select 1 from pg_stat_activity where application_name = 'keystead dataset' and datname = current_database() and state = 'active'";
    await expect.poll(async () => (await tables.query(active)).length, { interval: 5 }).toBeGreaterThan(0);
    cancelling.abort();
    await counting;
    expect(await tables.query(active)).toEqual([]);
    expect((await source.countHeaders()).map(({ column, kind, count }) => `${column} ${kind} ${String(count)}`).sort()).toEqual([
      "email ciphertext 200000",
      "scan null 200000",
    ]);
    await source.close();
  });

  it("is not misled by many headers that are none, and ends at too many that are", async () => {
    await tables.createTable(
      `${plain}; insert into person(email) select 'ks1:k' || i || ':1-K7F2QD:' || repeat('A', 40) from generate_series(1, 20000) i`,
      layout,
    );
    const source = await openSource(tables.url, layout);
    expect((await source.countHeaders()).filter(({ column }) => column === "email")).toEqual([
      { column: "email", kind: "plaintext", count: 20_000 },
    ]);
    await tables.query("update person set email = lower(email)");
    await tables.query("update person set email = left(email, -40) || repeat('A', 40)");
    const failure = await failureOf(source.countHeaders());
    expect(failure).toMatch(/^DATABASE_FAILED: /);
    expect(failure).toMatch(/more than 10000/);
    await source.close();
  });
});

function textOf({ kind, key, label }: HeaderCount): string {
  return kind === "ciphertext" ? `${kind} ${String(key)} ${String(label)}` : kind;
}
