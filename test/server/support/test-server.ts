import { connect, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { onTestFinished } from "vitest";
import { z } from "zod";
import { allowAll } from "../../../src/access/access-control.ts";
import type { Authenticator } from "../../../src/access/authenticator.ts";
import type { AnyRoute, EventRoute, LineRoute, Route, RouteLine } from "../../../src/api/route.ts";
import type { AuditRecordView } from "../../../src/audit/newest-records.ts";
import type { AuditEvent } from "../../../src/audit/event.ts";
import { systemClock } from "../../../src/clock.ts";
import { systemRandom } from "../../../src/crypto/random.ts";
import { KeysteadError } from "../../../src/errors.ts";
import { buildServer } from "../../../src/server/build-server.ts";
import type { ServerParts } from "../../../src/server/server-parts.ts";
import { type ServerSettings, serverSettingsSchema } from "../../../src/server/settings.ts";
import { canaries, recordOutput, registerSecret } from "../../setup/canary.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";

/** Good tokens of test servers. */
export const tokens = { anna: "test.token-of-anna-0001", berta: "test.token-of-berta-0002" } as const;

const nothing = z.strictObject({});
const facts = {
  tag: "test",
  idempotent: true,
  status: 200,
  tagged: false,
  problems: [],
  audit: "service",
  params: nothing,
  query: nothing,
  body: nothing,
} as const;

const text = z.strictObject({ text: z.string().max(1_000_000), list: z.array(z.unknown()).optional() });
const said = z.strictObject({ said: z.string() });

/** Says again what it is told, and who said it. */
const echo: Route<typeof nothing, typeof nothing, typeof text, typeof said> = {
  ...facts,
  method: "POST",
  path: "/v1/echo",
  summary: "Echo.",
  action: "test.echo",
  body: text,
  answer: said,
  handle: async (_keystead, { body }) => ({ said: body.text }),
};

const keyParams = z.strictObject({ name: z.string().max(100) });
const show: Route<typeof keyParams, typeof nothing, typeof nothing, z.ZodUnknown> = {
  ...facts,
  method: "GET",
  path: "/v1/keys/:name",
  summary: "Show a key.",
  action: "keys.show",
  problems: ["UNKNOWN_KEY"],
  tagged: true,
  params: keyParams,
  answer: z.unknown(),
  handle: async (keystead, { params }) => keystead.keys.show(params.name),
};
const change: Route<typeof keyParams, typeof nothing, typeof nothing, z.ZodUnknown> = {
  ...facts,
  method: "PUT",
  path: "/v1/keys/:name",
  summary: "Changes nothing, and says what it was told.",
  action: "keys.show",
  tagged: true,
  params: keyParams,
  answer: z.unknown(),
  handle: async (_keystead, { params }, { ifMatch }) => ({ name: params.name, ifMatch: ifMatch ?? null }),
};
const list: Route<typeof nothing, z.ZodObject<{ limit: z.ZodOptional<z.ZodCoercedNumber> }>, typeof nothing, z.ZodUnknown> = {
  ...facts,
  method: "GET",
  path: "/v1/keys",
  summary: "List keys.",
  action: "keys.list",
  query: z.strictObject({ limit: z.coerce.number().optional() }),
  answer: z.unknown(),
  handle: async (keystead, { query }) => ({ keys: await keystead.keys.list(), limit: query.limit ?? null }),
};
const fail: Route<typeof nothing, typeof nothing, typeof nothing, typeof said> = {
  ...facts,
  method: "POST",
  path: "/v1/fail",
  summary: "Fails with a secret in its text.",
  action: "test.fail",
  answer: said,
  handle: async () => {
    throw new Error(`the plaintext is ${canaries.email.text}`, { cause: new Error(canaries.diagnosis.text) });
  },
};
const lines: LineRoute<typeof nothing, typeof nothing, typeof text, z.ZodUnknown> = {
  ...facts,
  method: "POST",
  path: "/v1/lines",
  stream: "ndjson",
  summary: "Echo, line by line.",
  action: "test.echo",
  body: text,
  answer: z.unknown(),
  async *handle(_keystead, { body }) {
    for await (const line of body) yield answerLine(line);
  },
};

function answerLine(line: RouteLine<{ readonly text: string }>): unknown {
  if (line.problem !== undefined) return { code: line.problem.code, detail: line.problem.message };
  if (line.value.text === "fail") throw new KeysteadError("STORE_BUSY", "the store is busy; try again");
  if (line.value.text === "break") throw new Error(canaries.email.text);
  return { said: line.value.text };
}

/** A server of a test. */
export interface TestServer {
  readonly server: FastifyInstance;
  readonly port: number;
  /** What was recorded by the server itself. */
  readonly refusals: AuditEvent[];
  readonly logged: string[];
  /** Every record of the store. */
  readonly records: () => Promise<AuditRecordView[]>;
  /** Makes events of `/v1/events`; undefined ends them. */
  readonly send: (event: unknown) => void;
  /** Settles when the events' signal aborts. */
  readonly aborted: Promise<undefined>;
}

/** What a test wants otherwise than usual. */
export interface TestServerOptions extends Partial<Omit<ServerParts, "settings" | "routes">> {
  readonly settings?: Partial<Omit<z.input<typeof serverSettingsSchema>, "host">>;
  readonly routes?: readonly AnyRoute[];
}

/** Settings as a configuration gives them. */
function settingsOf(given: z.input<typeof serverSettingsSchema> = {}): ServerSettings {
  return serverSettingsSchema.parse(given);
}

const authenticator: Authenticator = {
  authenticate: (token) => {
    const name = Object.entries(tokens).find(([, known]) => known === token)?.[0];
    return name === undefined ? undefined : { principal: { source: "token", id: name } };
  },
};

/** Starts a server with a few routes on a store in memory; closed after the test. */
export async function startTestServer({ settings, routes = [], ...parts }: TestServerOptions = {}): Promise<TestServer> {
  for (const token of Object.values(tokens)) registerSecret(token);
  const { keystead } = await createTestKeystead({ access: allowAll });
  await keystead.keys.create({ name: "pii-email", purpose: "pii" });
  const refusals: AuditEvent[] = [];
  const logged: string[] = [];
  const events = eventSource();
  const server = buildServer({
    routes: [echo, show, change, list, fail, lines, events.route, ...routes],
    apiFor: (caller) => keystead.as(caller),
    authenticators: [{ authenticate: () => undefined }, authenticator],
    recordCall: async (event) => {
      if (event.outcome !== "allowed") refusals.push(event);
      await keystead.audit.trail.record(event);
    },
    health: async () => [{ check: "store", ready: true }],
    version: "0.0.0",
    settings: settingsOf(settings),
    clock: systemClock,
    random: systemRandom,
    log: {
      write: (line) => {
        logged.push(line);
        recordOutput(line);
      },
    },
    checkAnswers: true,
    ...parts,
  });
  onTestFinished(async () => {
    events.send(undefined);
    const closed = server.close();
    server.server.closeAllConnections();
    await closed;
  });
  await server.listen({ host: "127.0.0.1", port: 0 });
  const address = server.server.address();
  return {
    server,
    port: isAddress(address) ? address.port : 0,
    refusals,
    logged,
    records: () => keystead.audit.show(),
    send: events.send,
    aborted: events.aborted,
  };
}

function isAddress(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === "object" && address !== null;
}

function eventSource(): { readonly route: EventRoute; readonly send: (event: unknown) => void; readonly aborted: Promise<undefined> } {
  const waiting: unknown[] = [];
  const aborted = Promise.withResolvers<undefined>();
  let wake = (): void => undefined;
  const route: EventRoute = {
    ...facts,
    method: "GET",
    path: "/v1/events",
    stream: "events",
    summary: "Events.",
    action: "test.watch",
    answer: z.unknown(),
    async *handle(_keystead, _input, { signal }) {
      signal.addEventListener("abort", () => {
        aborted.resolve(undefined);
        wake();
      });
      for (;;) {
        while (waiting.length > 0) {
          const event = waiting.shift();
          if (event === undefined) return;
          yield event;
        }
        if (signal.aborted) return;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
  return {
    route,
    aborted: aborted.promise,
    send: (event) => {
      waiting.push(event);
      wake();
    },
  };
}

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A bare TCP connection, for what no client would send. */
export class RawConnection {
  readonly socket: Socket;
  #received = "";
  #ended = false;
  #wake = (): void => undefined;

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.setEncoding("latin1").on("data", (text: string) => {
      this.#received += text;
      recordOutput(text);
      this.#wake();
    });
    this.socket
      .on("error", () => undefined)
      .on("close", () => {
        this.#ended = true;
        this.#wake();
      });
    onTestFinished(() => {
      this.socket.destroy();
    });
  }

  send(text: string): this {
    this.socket.write(text, "latin1");
    return this;
  }

  /** Everything until the server closes the connection. */
  async all(): Promise<string> {
    while (!this.#ended) await this.#more();
    return this.#received;
  }

  /** The next answer with a `Content-Length`; undefined when the connection is closed before it is whole. */
  async answer(): Promise<RawAnswer | undefined> {
    for (;;) {
      const found = takeAnswer(this.#received);
      if (found !== undefined) {
        this.#received = found.rest;
        return found.answer;
      }
      if (this.#ended) return undefined;
      await this.#more();
    }
  }

  /** Waits until the text was received. */
  async until(text: string): Promise<string> {
    while (!this.#received.includes(text)) {
      if (this.#ended) throw new Error(`closed before ${text}: ${this.#received}`);
      await this.#more();
    }
    return this.#received;
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

function takeAnswer(text: string): { readonly answer: RawAnswer; readonly rest: string } | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const [first = "", ...fields] = text.slice(0, end).split("\r\n");
  const headers = Object.fromEntries(
    fields.map((field) => [field.slice(0, field.indexOf(":")).toLowerCase(), field.slice(field.indexOf(":") + 1).trim()]),
  );
  const length = Number(headers["content-length"] ?? 0);
  const body = text.slice(end + 4, end + 4 + length);
  return body.length < length
    ? undefined
    : { answer: { status: Number(first.split(" ")[1]), headers, body }, rest: text.slice(end + 4 + length) };
}

/** The text of a request with a token; a body makes it a JSON one. */
export function requestText(method: string, target: string, headers: Readonly<Record<string, string>> = {}, body?: string): string {
  const fields = {
    Host: "localhost",
    Authorization: `Bearer ${tokens.anna}`,
    ...(body !== undefined && { "Content-Type": "application/json", "Content-Length": String(Buffer.byteLength(body)) }),
    ...headers,
  };
  return `${method} ${target} HTTP/1.1\r\n${Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n${body ?? ""}`;
}
