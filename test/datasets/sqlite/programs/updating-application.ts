import { once } from "node:events";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";

// An application that updates random rows of `person`, one transaction each: 30 of them for every line of its standard input. At
// the end of that it says what it wrote last to each row.

const [path = "", rows = "0"] = process.argv.slice(2);
const database = new DatabaseSync(path, { timeout: 20_000 });
database.exec("PRAGMA synchronous = OFF");
const update = database.prepare("UPDATE person SET email = ?, tenant = ? WHERE id = ?");
const last: Record<string, { readonly email: string; readonly tenant: string }> = {};
let number = 0;

const input = createInterface({ input: process.stdin });
input.on("line", () => {
  for (const end = number + 30; number < end; number++) {
    const id = 1 + Math.floor(Math.random() * Number(rows));
    // Now and then only the context changes, or only the case of a letter.
    const before = last[String(id)];
    const email = before !== undefined && number % 3 === 0 ? swapCase(before.email) : `by the application ${String(number)}`;
    const tenant = number % 5 === 0 ? `tenant ${String(number)}` : (before?.tenant ?? "acme");
    update.run(email, tenant, id);
    last[String(id)] = { email, tenant };
  }
});
process.stdout.write("ready\n");
await once(input, "close");
process.stdout.write(`${JSON.stringify(last)}\n`);
database.close();

function swapCase(text: string): string {
  return text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase();
}
