import { randomInt } from "node:crypto";
import pg from "pg";
import type { KeyHandle, Keystead } from "../../../src/index.ts";
import { openKeystead } from "../../../src/keystead.ts";
import { canaries } from "../../setup/canary.ts";

/**
 * An application that writes rows of `person`, and in the same transaction what it wrote into `written`, until it is told to stop by
 * a line on standard input. Its database may go away and come back. Arguments: store URL, URL of the database, rows, the row that it
 * leaves alone. Prints `begun`, then how often it wrote.
 */
const [store = "", crm = "", rows = "1", spared = ""] = process.argv.slice(2);
const stop = new AbortController();
process.stdin.once("data", () => {
  stop.abort();
  process.stdin.destroy();
});
const masterKeys = { main: { bytes: canaries.masterKey.bytes } };
let opened: { readonly keystead: Keystead; readonly key: KeyHandle } | undefined;
const pool = new pg.Pool({ connectionString: crm, max: 1 });
pool.on("error", () => undefined);
// A connection that is lost while it is in use says so by itself, too.
pool.on("connect", (client) => client.on("error", () => undefined));
let writes = 0;
for (let turn = 1; !stop.signal.aborted; turn += 1) {
  try {
    opened ??= await open();
    const id = 1 + randomInt(Number(rows));
    if (id === Number(spared)) continue;
    await write(opened.key, id, turn);
    if (writes === 0) process.stdout.write("begun\n");
    writes += 1;
  } catch {
    // The database was killed: what was not committed is not in `written` either.
    await opened?.keystead.close().catch(() => undefined);
    opened = undefined;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
process.stdout.write(`${String(writes)}\n`);
await opened?.keystead.close();
await pool.end();

async function open(): Promise<{ readonly keystead: Keystead; readonly key: KeyHandle }> {
  const keystead = await openKeystead({ store, masterKeys });
  return { keystead, key: await keystead.open("pii", { dataset: "crm.person" }) };
}

async function write(key: KeyHandle, id: number, turn: number): Promise<void> {
  const name = `written ${String(process.pid)} ${String(turn)}`;
  const sealed = key.encryptValue(name, { dataset: "crm.person", "row.id": String(id), column: "name" });
  const client = await pool.connect();
  let isBroken = true;
  try {
    await client.query("begin");
    await client.query("update person set name = $2, written = written + 1 where id = $1", [id, sealed]);
    await client.query("insert into written values ($1, $2) on conflict (id) do update set name = excluded.name", [id, name]);
    await client.query("commit");
    isBroken = false;
  } finally {
    client.release(isBroken);
  }
}
