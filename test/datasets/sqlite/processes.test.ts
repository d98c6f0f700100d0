import { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { formatText, parseText, textPrefix } from "../../../src/crypto/ciphertext.ts";
import type { Cell, DatasetSource, SourceRow } from "../../../src/datasets/source.ts";
import { startChild } from "../../support/child.ts";
import { text } from "./cells.ts";
import { createTable, layoutOf } from "./database.ts";

const layout = layoutOf("person", { valueColumns: ["email"], contextColumns: ["tenant"], indexColumns: ["token"] });
const rowCount = 400;
const fill = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${String(rowCount)})
  INSERT INTO person SELECT i, 'person ' || i, 'acme', NULL FROM n; CREATE INDEX by_token ON person(token);`;
const prefix = textPrefix("pii", "1-k7f2qd");

/** Not a cipher: what a value is "sealed" as, with the context in which it is. */
function seal({ cells }: SourceRow): Cell {
  const [email, tenant] = [cells["email"], cells["tenant"]].map((cell) =>
    cell?.type === "text" ? Buffer.from(cell.bytes).toString() : "",
  );
  return text(formatText(prefix, Buffer.from(JSON.stringify([email, tenant]).padEnd(64))));
}

function isSealed(row: SourceRow): boolean {
  const cell = row.cells["email"];
  return cell?.type === "text" && parseText(Buffer.from(cell.bytes).toString("latin1")) !== undefined;
}

/** One pass of a job that protects what isn't yet. */
async function pass(source: DatasetSource, counts: { replaced: number; changed: number }): Promise<void> {
  for (let cursor: string | undefined; ;) {
    const page = await source.readPage(cursor, 50);
    const open = page.rows.filter((row) => !isSealed(row));
    const outcomes = await source.replace(open.map((row) => ({ locator: row.locator, expected: row.cells, set: { email: seal(row) } })));
    for (const outcome of outcomes) {
      if (typeof outcome !== "string") throw outcome.error;
      counts[outcome]++;
    }
    if (page.next === undefined) return;
    cursor = page.next;
  }
}

describe("a real second process", () => {
  for (const [mode, collation] of [
    ["WAL", "BINARY"],
    ["WAL", "NOCASE"],
    ["DELETE", "NOCASE"],
  ]) {
    it(`keeps every update that it makes while a job replaces rows: ${mode ?? ""}, ${collation ?? ""}`, async () => {
      const sql = `PRAGMA journal_mode = ${mode ?? ""}; CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT COLLATE ${collation ?? ""}, tenant TEXT COLLATE ${collation ?? ""}, token TEXT); ${fill}`;
      const { database, path, url, drop, openSource } = await createTable(sql, layout);
      try {
        const application = startChild(new URL("programs/updating-application.ts", import.meta.url), [path, String(rowCount)]);
        expect(await application.nextLine()).toBe("ready");
        const source = await openSource(layout);
        const counts = { replaced: 0, changed: 0 };
        for (let round = 0; round < 60; round++) {
          application.process.stdin?.write("on\n");
          await nextTurn();
          await pass(source, counts);
        }
        application.process.stdin?.end();
        const [report = "{}"] = await application.finish();
        const last = JSON.parse(report) as Record<string, { readonly email: string; readonly tenant: string }>;
        expect(Object.keys(last).length).toBeGreaterThan(rowCount / 2);
        // More replacements than rows: the application did undo some, while the job was at work.
        expect(counts.replaced).toBeGreaterThan(rowCount);

        await pass(source, counts);
        for (const row of database.prepare("SELECT id, email, tenant FROM person").all()) {
          const written = last[String(row["id"])] ?? { email: `person ${String(row["id"])}`, tenant: "acme" };
          expect(row["tenant"]).toBe(written.tenant);
          const payload = parseText(String(row["email"]))?.payload.toString() ?? "[]";
          const [email] = JSON.parse(payload) as readonly string[];
          expect(email).toBe(written.email);
        }
        expect(await source.countHeaders()).toEqual([
          { column: "email", kind: "ciphertext", key: "pii", label: "1-k7f2qd", count: rowCount },
        ]);
        await source.close();
        expect(url).toContain(path);
      } finally {
        await drop();
      }
    });

    it(`leaves the table whole when it is killed while it replaces rows: ${mode ?? ""}, ${collation ?? ""}`, async () => {
      const sql = `PRAGMA journal_mode = ${mode ?? ""}; CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT COLLATE ${collation ?? ""}, tenant TEXT, token TEXT); ${fill}`;
      const { database, path, url, drop } = await createTable(sql, layout);
      try {
        database.close();
        let seen = 0;
        for (let round = 0; round < 4; round++) {
          const job = startChild(new URL("programs/replacing-job.ts", import.meta.url), [url]);
          for (let line = 0; line < 1 + round * 3; line++) seen = Number(await job.nextLine());
          await job.kill();
          const after = new DatabaseSync(path);
          expect(after.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
          // Each call replaced all rows or none: value and token of every row are of the same number.
          const groups = after.prepare("SELECT token, count(DISTINCT email) AS emails, count(*) AS rows FROM person GROUP BY token").all();
          expect(groups).toEqual([{ token: expect.stringMatching(/^\d+\.AAAA$/) as string, emails: 1, rows: rowCount }]);
          expect(Number.parseInt(String(groups[0]?.["token"]), 10)).toBeGreaterThanOrEqual(seen);
          after.close();
        }
      } finally {
        await drop();
      }
    });
  }
});
