import type { Clock } from "../clock.ts";
import { KeysteadError } from "../errors.ts";
import type { Store } from "./store.ts";

/** How to open a store, whatever its kind. */
export interface OpenStoreOptions {
  /** Measures the wait for locks. */
  readonly clock: Clock;
  /** How long a transaction waits for a lock of another process, in milliseconds. */
  readonly busyTimeout?: number;
  /** Makes the place of the store when it is missing. Default false. */
  readonly create?: boolean;
  /** Default false. */
  readonly readOnly?: boolean;
  /** Where a store keeps everything else waiting while it writes, a thread adds audit lines. Default false. */
  readonly threaded?: boolean;
}

type StoreLoader = (place: string, options: OpenStoreOptions, url: string) => Promise<Store>;

async function openInPostgres(_place: string, options: OpenStoreOptions, url: string): Promise<Store> {
  const { openPostgresStore } = await import("./postgres/postgres-store.ts");
  return await openPostgresStore(url, options);
}

/** What opens the stores of a URL scheme. Loaded on use. */
const loaders: Readonly<Record<string, StoreLoader>> = {
  memory: async (place) => {
    if (place !== "") throw new KeysteadError("INVALID_ARGUMENT", "a store in memory has no name: write memory:");
    const { openMemoryStore } = await import("./memory/memory-store.ts");
    return await openMemoryStore();
  },
  sqlite: async (place, options) => {
    const { openSqliteStore } = await import("./sqlite/sqlite-store.ts");
    return await openSqliteStore(place, options);
  },
  postgresql: openInPostgres,
  postgres: openInPostgres,
};

/**
 * Opens a store by its URL: `sqlite:./keystead.db`, `sqlite:/var/lib/keystead/keystead.db`, `memory:`, or
 * `postgresql://keystead@db.internal/registry`. What follows `sqlite:` is a path as it is, without percent-encoding.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for another scheme, and what the opening of that kind of store throws.
 *
 * @example
 * const store = await openStore("sqlite:./keystead.db", { clock: systemClock, create: true });
 */
export async function openStore(url: string, options: OpenStoreOptions): Promise<Store> {
  const colon = url.indexOf(":");
  const scheme = url.slice(0, Math.max(colon, 0));
  const load = Object.hasOwn(loaders, scheme) ? loaders[scheme] : undefined;
  if (load === undefined) {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      `a store's URL begins with ${Object.keys(loaders).join(": or ")}: (for example sqlite:./keystead.db)`,
    );
  }
  return await load(url.slice(colon + 1), options, url);
}
