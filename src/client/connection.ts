import type { Readable } from "node:stream";
import { Agent, type Dispatcher, errors } from "undici";
import { type Clock, systemClock } from "../clock.ts";
import { KeysteadError } from "../errors.ts";
import { anyOf } from "./any-of.ts";
import { askToken } from "./ask-token.ts";
import { assertConnectionOptions, type ConnectionOptions, parseAddress } from "./connection-options.ts";
import { untilAborted } from "./until-aborted.ts";

/** What is sent to a server. */
export interface Request {
  readonly method: Dispatcher.HttpMethod;
  readonly path: string;
  /** JSON, or lines of it. */
  readonly body: string | Readable | undefined;
  readonly ifMatch: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds within which the answer has to begin; as the connection has it when undefined. */
  readonly timeout: number | undefined;
  /** Milliseconds within which the next piece of the answer has to come; as for its beginning when absent. */
  readonly longestSilence?: number;
}

const defaults = { timeout: 30_000, connections: 16 } as const;
/** Milliseconds in which a connection is made, however long its answers may take. */
const longestConnecting = 30_000;

/** The way to one server: its address, its credential, connections that are kept. */
export class Connection {
  readonly options: ConnectionOptions;
  readonly clock: Clock;
  readonly #origin: URL;
  readonly #agent: Agent;
  #closing: Promise<void> | undefined;

  /** @throws KeysteadError `INVALID_ARGUMENT`, also for an address that carries a password, or is remote without TLS */
  constructor(options: ConnectionOptions) {
    assertConnectionOptions(options);
    const { url, ca, certificate, connections = defaults.connections, timeout = defaults.timeout, clock = systemClock } = options;
    this.options = options;
    this.clock = clock;
    this.#origin = parseAddress(url);
    this.#agent = new Agent({
      connections,
      pipelining: 1,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      connect: {
        timeout: Math.min(timeout, longestConnecting),
        ...(ca !== undefined && { ca: pem(ca) }),
        ...(certificate !== undefined && { cert: pem(certificate.cert), key: pem(certificate.key) }),
      },
    });
  }

  /** Sends a request once. @throws KeysteadError of the credential, `CLOSED`; what the network says */
  async send(request: Request): Promise<Dispatcher.ResponseData> {
    const { timeout } = request;
    if (timeout === undefined) return this.#send(request);
    // Waiting for a connection, and making one, counts, too: it is limited only for all calls of the connection together.
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort(new errors.HeadersTimeoutError());
    }, timeout);
    try {
      return await this.#send({ ...request, signal: anyOf(request.signal, late.signal) });
    } finally {
      clearTimeout(timer);
    }
  }

  async #send({ method, path, body, ifMatch, signal, timeout, longestSilence = timeout }: Request): Promise<Dispatcher.ResponseData> {
    const credential = await askToken(this.options.token, signal);
    if (this.#closing !== undefined) throw new KeysteadError("CLOSED", "the client is closed; make another one");
    // Undici does not look at the signal of a request that waits for its connection.
    return untilAborted(signal, () =>
      this.#agent.request({
        origin: this.#origin.origin,
        path: this.#origin.pathname.replace(/\/$/, "") + path,
        method,
        headers: {
          authorization: `Bearer ${credential}`,
          accept: "application/json, application/problem+json, text/event-stream, application/x-ndjson, text/plain",
          ...(body !== undefined && { "content-type": typeof body === "string" ? "application/json" : "application/x-ndjson" }),
          ...(ifMatch !== undefined && { "if-match": ifMatch === "*" ? ifMatch : `"${ifMatch}"` }),
        },
        ...(body !== undefined && { body }),
        ...(signal !== undefined && { signal }),
        ...(timeout !== undefined && { headersTimeout: timeout }),
        ...(longestSilence !== undefined && { bodyTimeout: longestSilence }),
      }),
    );
  }

  /** Ends connections once what is under way has ended. Closing again does nothing. */
  close(): Promise<void> {
    return (this.#closing ??= this.#agent.close());
  }
}

function pem(text: string | Uint8Array): string {
  return typeof text === "string" ? text : Buffer.from(text).toString("utf8");
}
