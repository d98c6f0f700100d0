import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import { readSettings, type Settings } from "./settings.ts";

/** Setting with the URL of the store that took this one's place, without credentials. */
export const movedTo = "movedTo";

/** What a store remembers of copies: what was there at these times may be in use elsewhere, too. */
export interface StoreHistory extends Pick<Settings, "restoredAt" | "copiedAt"> {
  /** Where everything of this store is now; undefined while it is here. */
  readonly movedTo: string | undefined;
}

/** Reads the history of a store. */
export async function readHistory(tables: StoreTables): Promise<StoreHistory> {
  const { restoredAt, copiedAt } = await readSettings(tables);
  return { restoredAt, copiedAt, movedTo: (await tables.settings.get({ name: movedTo }))?.value };
}

/**
 * When a version is made, by whatever clock: after the store was found put back or was copied, so that it may seal.
 * @param now - Milliseconds since 1970.
 */
export function afterCopies(now: number, { restoredAt, copiedAt }: Pick<StoreHistory, "restoredAt" | "copiedAt">): number {
  return Math.max(now, restoredAt + 1, copiedAt + 1);
}

/** @throws KeysteadError `STORE_MOVED` */
export function assertHere({ movedTo: place }: Pick<StoreHistory, "movedTo">): void {
  if (place === undefined) return;
  throw new KeysteadError("STORE_MOVED", `the store was moved to ${place}: name that one in keystead.json`);
}
