import pg, { type ClientConfig, type PoolClient } from "pg";
import { clientConfigs } from "./client-config.ts";
import { HostRing } from "./host-ring.ts";
import type { PostgresUrl } from "./postgres-url.ts";
import { isConnectionLost } from "./sql-state.ts";
import { exactIntegers } from "./value-parsers.ts";

/** Idle connections are closed after so many milliseconds. */
const idleTimeout = 30_000;

type GiveClient = (error: Error | undefined, client: PoolClient | undefined, release: (error?: Error | boolean) => void) => void;

/** How a pool is opened. */
export interface PoolOptions {
  /** Where a URL names several hosts: takes standbys, too. Default false. */
  readonly standbys?: boolean;
}

/**
 * A pool of connections to a database. Connections that fail while nobody uses them are left out and made anew. Of several hosts it
 * finds the primary, and finds it again after a failover.
 */
export async function openPool(
  url: PostgresUrl,
  applicationName: string,
  size: number,
  { standbys = false }: PoolOptions = {},
): Promise<pg.Pool> {
  const hosts = new HostRing(await clientConfigs(url, applicationName));
  const pool = new HostPool(hosts, size, standbys);
  pool.on("error", ignore);
  // A connection that is lost between two statements of a transaction says so nowhere else; the next statement fails.
  pool.on("connect", (client) => client.on("error", ignore));
  return pool;
}

/** A pool whose new connections lead to the host that the ring shows at that moment. */
class HostPool extends pg.Pool {
  readonly #hosts: HostRing;

  constructor(hosts: HostRing, size: number, standbys: boolean) {
    super({
      ...hosts.current,
      Client: class extends pg.Client {
        constructor() {
          super({ ...hosts.current, types: exactIntegers });
        }
      },
      max: size,
      idleTimeoutMillis: idleTimeout,
      allowExitOnIdle: true,
      ...(hosts.size > 1 && !standbys && { verify: refuseStandby }),
    });
    this.#hosts = hosts;
  }

  override connect(): Promise<PoolClient>;
  override connect(give: GiveClient): void;
  override connect(give?: GiveClient): Promise<PoolClient> | undefined {
    const client = this.#connect();
    if (give === undefined) return client;
    client.then(
      (found) => {
        give(undefined, found, (error) => {
          found.release(error);
        });
      },
      (error: unknown) => {
        give(error instanceof Error ? error : new Error("no connection", { cause: error }), undefined, ignore);
      },
    );
    return undefined;
  }

  /** Tries each host once. What says that a host can't be reached counts for more than that another is a standby: it may become the primary. */
  async #connect(): Promise<PoolClient> {
    const hosts = this.#hosts;
    let failure: unknown;
    for (let tried = 0; tried < hosts.size; tried++) {
      const config: ClientConfig = hosts.current;
      try {
        return await super.connect();
      } catch (error) {
        if (!(error instanceof StandbyError) && !isConnectionLost(error)) throw error;
        if (failure === undefined || failure instanceof StandbyError) failure = error;
        hosts.pass(config);
      }
    }
    throw failure;
  }
}

/** A host that takes no writes. Its code is the one that PostgreSQL would answer a write with. */
class StandbyError extends Error {
  readonly code = "25006";
}

function refuseStandby(client: PoolClient, done: (error?: Error) => void): void {
  client.query<{ standby: boolean }>("select pg_is_in_recovery() as standby").then(
    ({ rows }) => {
      done(rows[0]?.standby === false ? undefined : new StandbyError("the host is a standby"));
    },
    (error: unknown) => {
      done(error instanceof Error ? error : new Error("no answer", { cause: error }));
    },
  );
}

function ignore(): void {
  // The next use of the connection fails and is reported then.
}
