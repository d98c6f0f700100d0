import { type Clock, systemClock } from "../../clock.ts";
import type { DatasetSource, DatasetSourceProvider, SourceLayout } from "../source.ts";
import { SqliteConnection } from "./sqlite-connection.ts";
import { SqliteSource } from "./sqlite-source.ts";

/** Settings of a {@link SqliteSourceProvider}. */
export interface SqliteSourceOptions {
  /** Clock for waiting; the operating system's unless another is given. */
  readonly clock?: Clock;
  /** Milliseconds to keep trying while the application holds a lock; 10,000 unless another is given. */
  readonly busyTimeout?: number;
}

/**
 * Opens tables of SQLite databases by `sqlite:/absolute/path` or `sqlite:relative/path`. The file must exist. Its journal mode
 * stays as it is, and transactions are short, so that the application can go on working on it.
 *
 * @example
 * const source = await new SqliteSourceProvider().open("sqlite:./crm.db", {
 *   table: "person", keyColumns: ["id"], valueColumns: ["email"], contextColumns: [], indexColumns: ["email_index"],
 * });
 */
export class SqliteSourceProvider implements DatasetSourceProvider {
  readonly scheme = "sqlite";
  readonly #clock: Clock;
  readonly #busyTimeout: number;

  constructor({ clock = systemClock, busyTimeout = 10_000 }: SqliteSourceOptions = {}) {
    this.#clock = clock;
    this.#busyTimeout = busyTimeout;
  }

  /** @throws KeysteadError `INVALID_ARGUMENT` for a wrong URL, `DATABASE_FAILED` when the file doesn't exist or can't be opened. */
  async open(url: string, layout: SourceLayout): Promise<DatasetSource> {
    return new SqliteSource(await SqliteConnection.open(url, { clock: this.#clock, patience: this.#busyTimeout }), layout);
  }
}
