import pg, { type ClientConfig } from "pg";
import type { HostRing } from "./host-ring.ts";
import { quoteIdentifier } from "./identifier.ts";

const shortestPause = 250;
const longestPause = 30_000;
/** A notification on a sound connection takes milliseconds; behind some poolers it never comes. */
const probeTimeout = 5_000;
/** Payload by which a listener finds out whether it hears; others' probes mean nothing. */
const probe = "probe";

/** What a {@link ChangeListener} needs. */
export interface ChangeListenerOptions {
  /** Where to connect. Standbys take no listeners, so of several hosts the primary is found. */
  readonly hosts: HostRing;
  readonly channel: string;
  /** Called for each notification, and after each reconnection, during which some may have been missed. */
  readonly onChange: () => void;
}

/**
 * Listens for notifications on a connection of its own, and connects again for as long as it takes when that is lost. Who depends
 * on changes must not depend on it alone: {@link problem} says when it hears nothing.
 * https://www.postgresql.org/docs/current/sql-listen.html
 */
export class ChangeListener {
  readonly #options: ChangeListenerOptions;
  #client: pg.Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #attempt: Promise<void>;
  #pause = shortestPause;
  #problem: unknown = new Error("not connected yet");
  #closed = false;

  constructor(options: ChangeListenerOptions) {
    this.#options = options;
    this.#attempt = this.#connect();
  }

  /** Why nothing is heard at the moment; undefined when all is well. Waits for an attempt to connect that is under way. */
  async problem(): Promise<unknown> {
    await this.#attempt;
    return this.#problem;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#attempt;
    await this.#drop();
  }

  async #connect(): Promise<void> {
    const { hosts, onChange } = this.#options;
    const { current } = hosts;
    try {
      await this.#listen(current);
      this.#problem = undefined;
      this.#pause = shortestPause;
      onChange();
    } catch (error) {
      hosts.pass(current);
      this.#problem = error;
      await this.#drop();
      this.#retry();
    }
  }

  async #listen(config: ClientConfig): Promise<void> {
    const { channel, onChange } = this.#options;
    const client = new pg.Client(config);
    this.#client = client;
    let heard: ((process: number) => void) | undefined;
    client.on("error", (error) => {
      this.#lost(client, error);
    });
    client.on("end", () => {
      this.#lost(client, new Error("the connection ended"));
    });
    client.on("notification", ({ payload, processId }) => {
      if (payload === probe) heard?.(processId);
      else onChange();
    });
    await client.connect();
    await client.query(`listen ${quoteIdentifier(channel)}`);
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    const answered = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error("notifications don't arrive: let the URL lead to the database itself, not to a pooler"));
      }, probeTimeout);
      timer.unref();
      heard = (process) => {
        if (process !== rows[0]?.pid) return;
        clearTimeout(timer);
        resolve();
      };
    });
    await Promise.all([client.query("select pg_notify($1, $2)", [channel, probe]), answered]);
  }

  #lost(client: pg.Client, error: unknown): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    if (this.#closed || this.#problem !== undefined) return;
    this.#problem = error;
    this.#retry();
  }

  #retry(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#attempt = this.#connect();
    }, this.#pause);
    this.#timer.unref();
    this.#pause = Math.min(2 * this.#pause, longestPause);
  }

  async #drop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }
}
