import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";
import type { Engine } from "./engine.ts";
import type { WrapRow } from "./kek-ring.ts";
import { unknownKeyId } from "./key-records.ts";
import { KeysetKey } from "./sealed-material.ts";

/** How often an act starts again because another process changed the key's wraps meanwhile. */
const attempts = 50;

/** What it takes to open the versions of a key: its rows in one snapshot, and its keyset key. */
export interface OpenedKeyset {
  readonly key: StoredRecord<"keys">;
  readonly wraps: readonly StoredRecord<"wraps">[];
  readonly keysetKey: KeysetKey;
}

/** Unwraps the keyset key of some wraps. @throws KeysteadError as `KekRing.unwrap` */
export async function unwrapKeysetKey(
  { keks, random, clock }: Pick<Engine, "keks" | "random" | "clock">,
  wraps: readonly WrapRow[],
): Promise<KeysetKey> {
  const bytes = await keks.unwrap(wraps);
  try {
    return new KeysetKey(bytes, random, clock);
  } finally {
    bytes.fill(0);
  }
}

/**
 * Changes what a keyset key seals: opens it, lets `prepare` ask KEKs for what the change needs, then runs in a transaction
 * what `prepare` returned. Starts again when the wraps changed since they were read: then the keyset key may be another one.
 * @throws KeysteadError `UNKNOWN_KEY`, KEK errors, what `prepare` and its transaction throw; `CONFLICT` when it never fits
 */
export async function withKeysetKey<T>(
  engine: Engine,
  keyId: string,
  prepare: (opened: OpenedKeyset) => Promise<(tables: StoreTables) => Promise<T>>,
): Promise<T> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const { key, wraps } = await engine.store.read(async (tables) => ({
      key: await tables.keys.get({ id: keyId }),
      wraps: await tables.wraps.list({ subject: keyId }),
    }));
    if (key === undefined) throw unknownKeyId();
    const change = await prepare({ key, wraps, keysetKey: await unwrapKeysetKey(engine, wraps) });
    const outcome = await engine.store.transaction(async (tables) => {
      if (!sameWraps(wraps, await tables.wraps.list({ subject: keyId }))) return undefined;
      return { result: await change(tables) };
    });
    if (outcome !== undefined) return outcome.result;
  }
  throw new KeysteadError("CONFLICT", "other processes keep changing this key's wraps; run the command again when they are done");
}

/** True while a subject's wraps are the ones that were read. By their bytes: a row that was replaced can have the old row version. */
export function sameWraps(before: readonly WrapRow[], after: readonly WrapRow[]): boolean {
  return (
    before.length === after.length &&
    before.every((wrap, index) => {
      const other = after[index];
      return other?.kekUri === wrap.kekUri && Buffer.compare(other.wrapped, wrap.wrapped) === 0;
    })
  );
}
