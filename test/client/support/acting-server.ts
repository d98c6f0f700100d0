import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type Socket } from "node:net";
import { inspect } from "node:util";
import { expect, onTestFinished } from "vitest";
import type { ConnectionOptions } from "../../../src/client/connection-options.ts";
import { KeysteadClient } from "../../../src/client/keystead-client.ts";
import { KeysteadError } from "../../../src/errors.ts";
import { canaries } from "../../setup/canary.ts";

/** What a server does with a request. */
export type Act = (response: ServerResponse, request: IncomingMessage) => unknown;

/** The token of the clients. */
export const token = "kst-token-that-nobody-shows";
/** What {@link good} answers. */
export const plain = canaries.name.text;

/** A server, and what it was asked on how many connections. */
export interface ActingServer {
  readonly server: Server;
  /** Lets it listen to a port of this machine, a free one for 0; resolves with its address. */
  readonly listen: (port: number) => Promise<string>;
  readonly asked: readonly string[];
  readonly connections: () => number;
}

/** A server that does what each request's act says, the last one for all that follow. */
export async function serverOf(...acts: readonly Act[]): Promise<ActingServer> {
  const asked: string[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    const act = acts[Math.min(asked.length, acts.length - 1)];
    asked.push(`${String(request.method)} ${String(request.url)}`);
    request.resume().once("end", () => act?.(response, request));
  });
  server.on("connection", (socket) => {
    connections += 1;
    socket.on("error", () => undefined);
  });
  const listen = async (port: number): Promise<string> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    return `http://127.0.0.1:${String(typeof address === "object" && address !== null ? address.port : 0)}`;
  };
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, listen, asked, connections: () => connections };
}

/** A server of bytes: what it writes to each connection that has sent something. */
export async function rawServer(answer: string, onAsked: (socket: Socket) => void = () => undefined): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", () => {
      socket.write(answer);
      onAsked(socket);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return `http://127.0.0.1:${String(typeof address === "object" && address !== null ? address.port : 0)}`;
}

/** A client that is closed with its test. */
export function clientOf(url: string, options: Partial<ConnectionOptions> = {}): KeysteadClient {
  const client = new KeysteadClient({ url, token, ...options });
  onTestFinished(() => client.close());
  return client;
}

/** What a call failed with. It is an error of Keystead in which neither the token nor the answer is found. */
export async function failureOf(work: Promise<unknown>): Promise<KeysteadError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof KeysteadError)) throw new Error("it did not fail as Keystead does", { cause: error });
  const shown = inspect(error, { depth: 20, showHidden: true, maxStringLength: Infinity, maxArrayLength: Infinity });
  for (const secret of [token, plain, Buffer.from(plain).toString("hex").slice(0, 20)]) expect(shown.includes(secret)).toBe(false);
  return error;
}

/** Answers well to whatever is asked. */
export const good: Act = (response) =>
  response.setHeader("content-type", "application/json").end(JSON.stringify({ text: plain, hash: "AA==" }));
/** Answers with a problem. */
export const problem =
  (code: string, status: number, headers: Readonly<Record<string, string>> = {}): Act =>
  (response) =>
    response.writeHead(status, { "content-type": "application/problem+json", ...headers }).end(JSON.stringify({ code, detail: "not now" }));
