import { KeysteadError } from "../errors.ts";
import { parseKekUri } from "../kek/kek-uri.ts";
import type { Store, StoreTables } from "../store/store.ts";
import type { Engine } from "./engine.ts";
import type { FindKek, KnownKek } from "./kek-ring.ts";

/** Looks KEKs up in an unlocked store. */
export function findKekIn(store: Store): FindKek {
  return (uri) =>
    store.read(async (tables): Promise<KnownKek | undefined> => {
      const known = await tables.keks.get({ uri });
      if (known === undefined) return undefined;
      const [wrap] = await tables.wraps.list({ kekUri: uri });
      return { kekId: known.kekId, derivation: known.derivation, wrap };
    });
}

/**
 * Runs `work` in a transaction in which the store knows the KEK of `uri`, and this process has opened that very one.
 * @throws KeysteadError `UNKNOWN_KEK`, `WRONG_MASTER_KEY`, `KEK_FAILED`, and what `work` throws
 */
export async function withKek<T>(engine: Engine, uri: string, work: (tables: StoreTables) => Promise<T>): Promise<T> {
  for (const lastAttempt of [false, true]) {
    const { kekId, derivation = null } = await engine.keks.handle(uri);
    const outcome = await engine.store.transaction(async (tables) => {
      const known = await tables.keks.get({ uri });
      if (known === undefined) await tables.keks.insert({ uri, kekId, derivation, createdAt: engine.clock.now() });
      else if (known.kekId !== kekId && !lastAttempt) return undefined;
      return { result: await work(tables) };
    });
    if (outcome !== undefined) return outcome.result;
    // Another process made it known meanwhile, a passphrase with other parameters: open it as the store has it.
    await engine.keks.forget(uri);
  }
  throw new KeysteadError("CONFLICT", "other processes keep changing this KEK; run the command again when they are done");
}

/** A KEK's URI as an audit record may hold it: what is malformed may carry a credential. */
export function recordableKekUri(text: string): string {
  try {
    return parseKekUri(text).toString();
  } catch {
    return "malformed";
  }
}
