import { once } from "node:events";
import { setTimeout as rest } from "node:timers/promises";
import { DatabaseSync } from "node:sqlite";
import { openKeystead } from "../../../src/keystead.ts";
import { canaries } from "../../setup/canary.ts";

/**
 * An application that works on `person (id, tenant, city, name)` until it gets a line on standard input: it updates, inserts and
 * deletes rows, and in the same transaction writes into `truth` what each row is to say. Prints a line after each hundred changes.
 * Arguments: path of the database, milliseconds of rest after each ten changes, and the URL of the store when it is to seal what it
 * writes.
 */
const [path = "", pause = "", store] = process.argv.slice(2);
const database = new DatabaseSync(path, { timeout: 10_000 });
database.exec("PRAGMA synchronous = OFF");
const application = { running: true };
void once(process.stdin, "data").then(() => {
  application.running = false;
  process.stdin.destroy();
});
const masterKeys = { main: { bytes: canaries.masterKey.bytes } };
const keystead = store === undefined ? undefined : await openKeystead({ store, masterKeys });
const key = await keystead?.open("pii", { dataset: "crm.person" });

const statements = {
  find: database.prepare("SELECT id, tenant, city FROM person WHERE id >= ? ORDER BY id LIMIT 1"),
  insert: database.prepare("INSERT INTO person (id, tenant, city, name) VALUES (?, ?, ?, ?)"),
  update: database.prepare("UPDATE person SET tenant = ?, city = ?, name = ? WHERE id = ?"),
  updateCity: database.prepare("UPDATE person SET city = ? WHERE id = ?"),
  updateTenant: database.prepare("UPDATE person SET tenant = ? WHERE id = ?"),
  remove: database.prepare("DELETE FROM person WHERE id = ?"),
  remember: database.prepare("INSERT OR REPLACE INTO truth (id, tenant, city, name) VALUES (?, ?, ?, ?)"),
  rememberCity: database.prepare("UPDATE truth SET city = ? WHERE id = ?"),
  rememberTenant: database.prepare("UPDATE truth SET tenant = ? WHERE id = ?"),
  forget: database.prepare("DELETE FROM truth WHERE id = ?"),
};
let changes = 0;
let newest = 1_000_000;

function sealed(id: number, tenant: string, column: string, text: string): string {
  return key === undefined ? text : key.encryptValue(text, { tenant, row: String(id), column });
}

/** No row was filled with what is written here: a text that says the same again was replaced by the job. */
function write(id: number, tenant: string, isNew: boolean): void {
  const city = `city of change ${String(changes)}`;
  const name = `${canaries.name.text} ${String(changes)}`;
  const [sealedCity, sealedName] = [sealed(id, tenant, "city", city), sealed(id, tenant, "name", name)];
  if (isNew) statements.insert.run(id, tenant, sealedCity, sealedName);
  else statements.update.run(tenant, sealedCity, sealedName, id);
  statements.remember.run(id, tenant, city, name);
}

/** Letter case is all that changes, in a column whose collation does not see it. */
function changeCase(id: number, city: unknown): void {
  const text = String(city);
  if (text.startsWith("ks1:")) return;
  const other = text.startsWith("city") ? text.toUpperCase() : text.toLowerCase();
  statements.updateCity.run(other, id);
  statements.rememberCity.run(other, id);
}

/** What is sealed for one tenant does not open for another: that is for the job to report. */
function moveTenant(id: number): void {
  const tenant = `moved ${String(changes)}`;
  statements.updateTenant.run(tenant, id);
  statements.rememberTenant.run(tenant, id);
}

while (application.running) {
  changes += 1;
  database.exec("BEGIN IMMEDIATE");
  const row = statements.find.get(Math.floor(Math.random() * 1500));
  const id = Number(row?.["id"] ?? 0);
  const act = changes % 20;
  if (act === 0 || row === undefined) write((newest += 1), "new", true);
  else if (act === 1) {
    statements.remove.run(id);
    statements.forget.run(id);
  } else if (act === 2) write(id, `tenant ${String(changes)}`, false);
  else if (act === 3) moveTenant(id);
  else if (act < 10) changeCase(id, row["city"]);
  else write(id, String(row["tenant"]), false);
  database.exec("COMMIT");
  if (changes % 100 === 0) process.stdout.write(`${String(changes)}\n`);
  if (changes % 10 === 0) await rest(Number(pause));
}
database.close();
await keystead?.close();
