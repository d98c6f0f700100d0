import type { Clock } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import { clientConfigs } from "../../postgres/client-config.ts";
import { HostRing } from "../../postgres/host-ring.ts";
import { openPool } from "../../postgres/pool.ts";
import { parsePostgresUrl } from "../../postgres/postgres-url.ts";
import { SqlStore } from "../sql/sql-store.ts";
import type { Store } from "../store.ts";
import { PostgresDatabase } from "./postgres-database.ts";

const defaultSchema = "keystead";
const defaultLockTimeout = 5_000;
const maxLockTimeout = 3_600_000;
const defaultStatementTimeout = 60_000;
const maxStatementTimeout = 3_600_000;
const defaultPoolSize = 4;
const maxPoolSize = 100;

/** How to open a store in a PostgreSQL database. */
export interface PostgresStoreOptions {
  /** Paces the attempts at what the database gave up. */
  readonly clock: Clock;
  /** How long a transaction waits for the lock of another process, in milliseconds: 0 to 3,600,000. Default 5,000. */
  readonly busyTimeout?: number;
  /** Opens the store for reading only; the server may then be a standby. Default false. */
  readonly readOnly?: boolean;
}

/**
 * Opens a store in a PostgreSQL database (15 or newer), which many processes may share:
 * `postgresql://USER@HOST:PORT/DATABASE?schema=keystead`. Of several hosts (`a:5432,b:5432`) it uses the primary.
 *
 * Parameters behind the question mark: `schema` (default `keystead`), `pool` (connections, 1 to 100, default 4),
 * `statement_timeout` (milliseconds, default 60,000), `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `passfile`.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for the URL, `INSECURE_FILE` for a password file that others may read. The database is
 * reached when the store is first used.
 *
 * @example
 * const store = await openPostgresStore("postgresql://keystead@db.internal/registry?passfile=/etc/keystead/pgpass", { clock: systemClock });
 */
export async function openPostgresStore(url: string, options: PostgresStoreOptions): Promise<Store> {
  const { clock, busyTimeout = defaultLockTimeout, readOnly = false } = options;
  const place = parsePostgresUrl(url, ["schema", "pool", "statement_timeout"]);
  const { schema = defaultSchema, pool: size, statement_timeout: statement } = place.parameters;
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(schema) || schema.startsWith("pg_"))
    throw new KeysteadError("INVALID_ARGUMENT", "schema is 1 to 63 letters, digits and '_', not beginning with a digit or pg_");
  const pool = await openPool(place, "keystead", numberIn("pool", size, defaultPoolSize, 1, maxPoolSize), { standbys: readOnly });
  const statementTimeout = numberIn("statement_timeout", statement, defaultStatementTimeout, 1, maxStatementTimeout);
  // PostgreSQL takes 0 for no limit.
  const lockTimeout = Math.max(1, numberIn("busyTimeout", String(busyTimeout), defaultLockTimeout, 0, maxLockTimeout));
  const listening = new HostRing(await clientConfigs(place, "keystead listener"));
  return new SqlStore(
    new PostgresDatabase({ url: place.display, pool, listening, schema, readOnly, clock, lockTimeout, statementTimeout }),
  );
}

function numberIn(name: string, text: string | undefined, absent: number, least: number, most: number): number {
  const number = text === undefined ? absent : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new KeysteadError("INVALID_ARGUMENT", `${name} is a whole number from ${String(least)} to ${String(most)}`);
}
