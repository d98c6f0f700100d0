import { FileTrail } from "../../../src/audit/file-trail.ts";
import { systemClock } from "../../../src/clock.ts";
import { systemRandom } from "../../../src/crypto/random.ts";
import { openSqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import { metadataKey, sharedSigner, storeId } from "./audit-store.ts";

/**
 * A program that records without end on a trail that begins a new journal every few records, and reports each number once it
 * was answered. Numbers begin with its third argument.
 */
const [database = "", directory = "", first = "0"] = process.argv.slice(2);
const store = await openSqliteStore(database, { clock: systemClock });
await store.unlock(metadataKey);
const signer = sharedSigner();
const limits = { records: 10, bytes: 1_000_000 };
const trail = await FileTrail.open({ store, storeId, directory, clock: systemClock, random: systemRandom, signer: () => signer, limits });
let next = Number(first);

async function recordForEver(): Promise<never> {
  for (;;) {
    const number = next++;
    await trail.record({ action: "keys.rotate", outcome: "allowed", principal: { source: "os-user", id: "anna" }, detail: { number } });
    await new Promise((resolve) => process.stdout.write(`${number}\n`, resolve));
    if (number % 7 === 0) await trail.flush();
  }
}

await Promise.all(Array.from({ length: 4 }, recordForEver));
