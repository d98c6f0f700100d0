import { FileTrail } from "../../../src/audit/file-trail.ts";
import { systemClock } from "../../../src/clock.ts";
import { systemRandom } from "../../../src/crypto/random.ts";
import { openSqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import { metadataKey, sharedSigner, storeId } from "./audit-store.ts";

/** A program that records some events on a trail whose store and directory it shares with others, and ends in order. */
const [database = "", directory = "", count = "0"] = process.argv.slice(2);
const store = await openSqliteStore(database, { clock: systemClock });
await store.unlock(metadataKey);
const signer = sharedSigner();
const trail = await FileTrail.open({ store, storeId, directory, clock: systemClock, random: systemRandom, signer: () => signer });
for (let number = 0; number < Number(count); number++) {
  await trail.record({ action: "keys.rotate", outcome: "allowed", principal: { source: "os-user", id: "anna" }, detail: { number } });
  if (number % 20 === 0) await trail.flush();
}
await trail.close();
await store.close();
