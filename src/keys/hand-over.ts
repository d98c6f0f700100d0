import type { Store, StoreTables } from "../store/store.ts";
import { audited, handOverAction } from "./audited.ts";
import type { Engine } from "./engine.ts";
import { readSettings } from "./settings.ts";
import { movedTo } from "./store-history.ts";

/**
 * Records that the store is copied to a place. When it is moved there, no process uses it from then on: it learns so within the refresh
 * bound, and that is when this resolves.
 * @param place - URL without credentials.
 * @throws KeysteadError `ACCESS_DENIED`, `AUDIT_UNAVAILABLE`, and what the store says
 */
export function handOver(engine: Engine, place: string, isMove: boolean): Promise<void> {
  const detail = { to: place, kind: isMove ? "move" : "copy" };
  return audited(engine, { action: handOverAction, detail, terms: {} }, async () => {
    if (!isMove) return;
    const { refreshBound } = await engine.store.transaction(async (tables) => {
      await writeMovedTo(tables, place);
      return readSettings(tables);
    });
    await engine.clock.wait(refreshBound);
  });
}

/** Takes a move back that did not come about. */
export async function takeBack(store: Store): Promise<void> {
  await store.transaction((tables) => writeMovedTo(tables, undefined));
}

async function writeMovedTo(tables: StoreTables, value: string | undefined): Promise<void> {
  const stored = await tables.settings.get({ name: movedTo });
  if (value === undefined) {
    if (stored !== undefined) await tables.settings.remove(stored);
  } else if (stored === undefined) await tables.settings.insert({ name: movedTo, value });
  else await tables.settings.update({ ...stored, value });
}
