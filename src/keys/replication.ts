import type { Store } from "../store/store.ts";

/** Milliseconds that acts and background work wait for standbys. */
const patience = { act: 10_000, background: 200 } as const;

/**
 * Waits until no failover can lose what is committed: a key that seals something and is lost then takes that along. At once where the
 * store has no standbys.
 * @throws KeysteadError `STORE_BUSY`, `STORE_FAILED` as {@link Store.replicated}
 */
export async function awaitReplication({ store }: { readonly store: Store }): Promise<void> {
  await store.replicated?.(patience.act);
}

/** True when no failover can lose what is committed; false also while nobody can tell. Waits for a moment only. */
export async function isReplicated({ store }: { readonly store: Store }): Promise<boolean> {
  if (store.replicated === undefined) return true;
  return await store.replicated(patience.background).then(
    () => true,
    () => false,
  );
}
