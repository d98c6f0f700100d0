import { type Clock, systemClock } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import { openPool } from "../../postgres/pool.ts";
import { parsePostgresUrl } from "../../postgres/postgres-url.ts";
import type { DatasetSource, DatasetSourceProvider, SourceLayout } from "../source.ts";
import { PostgresConnection } from "./postgres-connection.ts";
import { PostgresSource } from "./postgres-source.ts";
import { parseTableName } from "./table-name.ts";

/** Settings of a {@link PostgresSourceProvider}. */
export interface PostgresSourceOptions {
  /** Clock for waiting; the operating system's unless another is given. */
  readonly clock?: Clock;
}

/** Numbers that the URL may give: the default, the least, the most. Time-outs in milliseconds. */
const numbers = { pool: [4, 2, 100], lock_timeout: [5_000, 1, 3_600_000], statement_timeout: [60_000, 1, 3_600_000] } as const;

/**
 * Opens tables of PostgreSQL databases (15 or newer) by `postgresql://USER@HOST:PORT/DATABASE`, or with the scheme `postgres`. A
 * table is named `table`, which is in schema `public`, or `schema.table`; a value column may lead into a column of type `json` or
 * `jsonb`, as `profile.phone`. Transactions are short, except for counting, and nothing is
 * created or altered.
 *
 * Parameters behind the question mark: `pool` (connections, 2 to 100, default 4), `lock_timeout` (how long a write waits for rows that
 * are locked, milliseconds, default 5,000, at most half of what follows), `statement_timeout` (default 60,000), and those of {@link parsePostgresUrl}.
 *
 * @example
 * const source = await new PostgresSourceProvider("postgresql").open("postgresql://keystead@db.internal/crm?passfile=/etc/keystead/pgpass", {
 *   table: "person", keyColumns: ["id"], valueColumns: ["email"], contextColumns: [], indexColumns: ["email_index"],
 * });
 */
export class PostgresSourceProvider implements DatasetSourceProvider {
  readonly scheme: "postgresql" | "postgres";
  readonly #clock: Clock;

  constructor(scheme: "postgresql" | "postgres", { clock = systemClock }: PostgresSourceOptions = {}) {
    this.scheme = scheme;
    this.#clock = clock;
  }

  /**
   * @throws KeysteadError `INVALID_ARGUMENT` for a wrong URL, `INSECURE_FILE` for a password file that others may read,
   * `DATASET_UNSUITABLE` for what is no table's name. The database is reached when the source is first used.
   */
  async open(url: string, layout: SourceLayout): Promise<DatasetSource> {
    const name = parseTableName(layout.table);
    const place = parsePostgresUrl(url, Object.keys(numbers));
    const numberIn = (name: keyof typeof numbers): number => numberOf(name, place.parameters[name]);
    const statement = numberIn("statement_timeout");
    // A row that stays locked is to be left out before the whole statement is given up.
    const timeouts = { lock: Math.min(numberIn("lock_timeout"), Math.ceil(statement / 2)), statement };
    const pool = await openPool(place, "keystead dataset", numberIn("pool"));
    const connection = new PostgresConnection(pool, name, {
      clock: this.#clock,
      timeouts,
      url: place.display,
    });
    return new PostgresSource(connection, layout, name);
  }
}

function numberOf(name: keyof typeof numbers, text: string | undefined): number {
  const [absent, least, most] = numbers[name];
  const number = text === undefined ? absent : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `${name} in the URL of a database is a whole number from ${String(least)} to ${String(most)}`,
  );
}
