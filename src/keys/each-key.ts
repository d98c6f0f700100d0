import { setImmediate as nextTurn } from "node:timers/promises";
import type { Store, StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";

/** Keys that are read in one transaction: thousands at once would hold everybody else up. */
const atOnce = 50;

/**
 * What `read` tells of each of these keys, in their order. Reads in small pieces, and lets others go first between them: it is not one moment
 * of the store that is told of.
 * @throws what the store says
 */
export async function eachKey<T>(
  store: Pick<Store, "read">,
  keys: readonly StoredRecord<"keys">[],
  read: (tables: StoreTables, key: StoredRecord<"keys">) => Promise<T>,
): Promise<T[]> {
  const told: T[] = [];
  for (let at = 0; at < keys.length; at += atOnce) {
    const piece = keys.slice(at, at + atOnce);
    told.push(...(await store.read((tables: StoreTables) => Promise.all(piece.map((key) => read(tables, key))))));
    await nextTurn();
  }
  return told;
}
