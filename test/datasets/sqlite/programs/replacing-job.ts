import { SqliteSourceProvider } from "../../../../src/datasets/sqlite/sqlite-source-provider.ts";
import type { Cell } from "../../../../src/datasets/source.ts";

// A job that rewrites every row of `person` over and over, all rows in one call, each time with the next number.

const [url = ""] = process.argv.slice(2);
const layout = { table: "person", keyColumns: ["id"], valueColumns: ["email"], contextColumns: ["tenant"], indexColumns: ["token"] };
const source = await new SqliteSourceProvider().open(url, layout);
for (let number = 1; ; number++) {
  const { rows } = await source.readPage(undefined, 100_000);
  const email: Cell = { type: "text", bytes: Buffer.from(`${"pass ".repeat(1 + (number % 40))}${String(number)}`) };
  const token: Cell = { type: "text", bytes: Buffer.from(`${String(number)}.AAAA`) };
  const outcomes = await source.replace(rows.map(({ locator, cells }) => ({ locator, expected: cells, set: { email, token } })));
  if (outcomes.some((outcome) => outcome !== "replaced")) throw new Error("a row was not replaced, though nobody else writes");
  process.stdout.write(`${String(number)}\n`);
}
