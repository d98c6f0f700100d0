import pg from "pg";
import { clientConfig } from "./client-config.ts";
import { exactIntegers } from "./value-parsers.ts";
import type { PostgresUrl } from "./postgres-url.ts";

/** Idle connections are closed after so many milliseconds. */
const idleTimeout = 30_000;

/** A pool of connections to a database. Connections that fail while nobody uses them are left out and made anew. */
export async function openPool(url: PostgresUrl, applicationName: string, size: number): Promise<pg.Pool> {
  const pool = new pg.Pool({
    ...(await clientConfig(url, applicationName)),
    types: exactIntegers,
    max: size,
    idleTimeoutMillis: idleTimeout,
    allowExitOnIdle: true,
  });
  pool.on("error", ignore);
  // A connection that is lost between two statements of a transaction says so nowhere else; the next statement fails.
  pool.on("connect", (client) => client.on("error", ignore));
  return pool;
}

function ignore(): void {
  // The next use of the connection fails and is reported then.
}
