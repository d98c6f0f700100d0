import { Socket } from "node:net";
import pg, { type ClientConfig } from "pg";
import type { HostRing } from "./host-ring.ts";
import { quoteIdentifier } from "./identifier.ts";

const shortestPause = 250;
const longestPause = 30_000;
/** A notification on a sound connection takes milliseconds; behind some poolers it never comes. */
const probeTimeout = 5_000;
/** How long a server may take to answer the goodbye. One that is cut off never does. */
const farewell = 1_000;
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
 *
 * Whether it hears is tried by a notification from a second connection: behind a pooler that gives each transaction another session,
 * `LISTEN` succeeds and nothing ever arrives, except what the listening session tells itself.
 * https://www.postgresql.org/docs/current/sql-listen.html
 */
export class ChangeListener {
  readonly #options: ChangeListenerOptions;
  #ear: Ear | undefined;
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

  /** Does not wait for an attempt to connect. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#ear?.close();
    await this.#attempt;
  }

  async #connect(): Promise<void> {
    const { hosts, channel, onChange } = this.#options;
    const { current } = hosts;
    let ear: Ear;
    try {
      ear = new Ear(current, channel, onChange);
      this.#ear = ear;
      await ear.open();
    } catch (error) {
      hosts.pass(current);
      this.#retry(error);
      return;
    }
    this.#problem = undefined;
    this.#pause = shortestPause;
    void ear.lost.then((error) => {
      this.#retry(error);
      // The server may have said that it ends the connection, and not ended it.
      void ear.close();
    });
    onChange();
  }

  #retry(problem: unknown): void {
    this.#problem = problem;
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#attempt = this.#connect();
    }, this.#pause);
    this.#timer.unref();
    this.#pause = Math.min(2 * this.#pause, longestPause);
  }
}

/** One connection that listens. */
class Ear {
  /** Resolves with the reason when the connection is gone, whenever that is. */
  readonly lost: Promise<unknown>;
  readonly #config: ClientConfig;
  readonly #channel: string;
  readonly #client: pg.Client;
  /** Cuts the connections that are under way, whatever they wait for. */
  readonly #sockets: Socket[] = [];
  #heard: ((process: number) => void) | undefined;
  #isOpen = false;

  constructor(config: ClientConfig, channel: string, onChange: () => void) {
    this.#config = config;
    this.#channel = channel;
    this.#client = this.#newClient();
    this.lost = new Promise((resolve) => {
      this.#client.on("error", resolve).on("end", () => {
        resolve(new Error("the connection ended"));
      });
    });
    this.#client.on("notification", ({ payload, processId }) => {
      if (payload === probe) this.#heard?.(processId);
      else onChange();
    });
  }

  /** @throws what keeps it from hearing; it is closed then */
  async open(): Promise<void> {
    const lost = this.lost.then((error) => {
      throw error;
    });
    try {
      await Promise.race([this.#listen(), lost]);
      this.#isOpen = true;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const cut = (): void => {
      for (const socket of this.#sockets) socket.destroy();
    };
    if (this.#isOpen) {
      const timer = setTimeout(cut, farewell);
      await this.#client.end().catch(() => undefined);
      clearTimeout(timer);
    }
    cut();
  }

  async #listen(): Promise<void> {
    await this.#client.connect();
    await this.#client.query(`listen ${quoteIdentifier(this.#channel)}`);
    const other = this.#newClient();
    // Its queries say so, too.
    other.on("error", () => undefined);
    await other.connect();
    try {
      const { rows } = await other.query<{ pid: number }>("select pg_backend_pid() as pid");
      const heard = this.#hear(rows[0]?.pid);
      await Promise.all([other.query("select pg_notify($1, $2)", [this.#channel, probe]), heard]);
    } finally {
      await other.end();
    }
  }

  /** Waits for the probe of a session. */
  async #hear(session: number | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(
          new Error(
            "notifications don't arrive: let the URL lead to the database itself, or to a pooler that gives each client a session of its own",
          ),
        );
      }, probeTimeout);
      timer.unref();
      this.#heard = (process) => {
        if (process !== session) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #newClient(): pg.Client {
    const socket = new Socket();
    this.#sockets.push(socket);
    return new pg.Client({ ...this.#config, stream: () => socket });
  }
}
