import type { ByteRoute, EventRoute, LineRoute, RouteCall } from "../api/route.ts";
import { CredentialWatch } from "./credential-watch.ts";
import type { Exchange } from "./exchange.ts";
import { mediaTypes } from "./media-types.ts";
import { assertBodyBelongs, checkBody, takeBody } from "./request-input.ts";
import { readLines } from "./read-lines.ts";
import type { ServedApi, ServerParts } from "./server-parts.ts";
import { StreamWriter } from "./stream-writer.ts";

/** What a stream is served with. */
export interface StreamCall {
  readonly api: ServedApi;
  readonly address: { readonly params: unknown; readonly query: unknown };
  readonly call: RouteCall;
  readonly parts: Pick<ServerParts, "settings">;
  /** Records what ends it, unless that is recorded. Resolves with the error to tell: another one when it can't be recorded. */
  readonly recordRefusal: (error: unknown) => Promise<unknown>;
}

const heartbeatMilliseconds = 15_000;

/** How one kind of stream is written. */
interface Format {
  readonly item: (item: unknown) => string;
  readonly problem: (problem: unknown) => string;
  /** Sent when there has been nothing else for a while, the head of the answer first. */
  readonly heartbeat?: string;
}

const formats: Readonly<Record<"ndjson" | "events", Format>> = {
  ndjson: {
    item: (item) => `${JSON.stringify(item)}\n`,
    problem: (problem) => `${JSON.stringify({ streamProblem: problem })}\n`,
  },
  events: {
    item: (item) => `data: ${JSON.stringify(item)}\n\n`,
    problem: (problem) => `event: problem\ndata: ${JSON.stringify(problem)}\n\n`,
    heartbeat: ": still there\n\n",
  },
};

/**
 * Serves a stream to its end. What fails before its first item is thrown, to be answered as ever; what fails later ends the stream with a
 * problem.
 */
export async function serveStream(route: LineRoute | EventRoute, exchange: Exchange, stream: StreamCall): Promise<void> {
  const { item, problem, heartbeat } = formats[route.stream];
  const answers = (await begin(route, exchange, stream))[Symbol.asyncIterator]();
  // Looked at now, so that it is there to be aborted.
  const { signal } = exchange;
  const writer = new StreamWriter(exchange, { status: route.status, type: mediaTypes[route.stream], isLast: route.stream === "events" });
  const timer = heartbeat === undefined ? undefined : setInterval(() => writer.heartbeat(heartbeat), heartbeatMilliseconds);
  // Of lines each batch asks.
  const credential = route.stream === "events" ? new CredentialWatch(exchange, stream.call) : undefined;
  try {
    for (let next = await answers.next(); next.done !== true && !signal.aborted; next = await answers.next()) {
      await writer.write(item(next.value));
    }
    if (credential?.refusal !== undefined) throw credential.refusal.error;
  } catch (thrown) {
    const refusal = credential?.refusal;
    // What a handler throws that was aborted for it follows from it.
    const error = refusal === undefined ? thrown : refusal.error;
    if (!writer.hasBegun) throw error;
    const told = await stream.recordRefusal(error);
    // Who is gone hears nothing, and an end that was asked for is no failure.
    if (refusal !== undefined || !signal.aborted) await writer.write(problem(exchange.fail(told)));
  } finally {
    clearInterval(timer);
    credential?.stop();
    await answers.return?.(undefined);
  }
  writer.end();
}

/** Serves bytes to their end, no faster than the client reads. What fails once it has begun cuts the connection off, and is thrown. */
export async function serveBytes(route: ByteRoute, exchange: Exchange, { api, address, call, parts }: StreamCall): Promise<void> {
  const { limits } = parts.settings;
  const body = checkBody(route, await takeBody(exchange, limits), limits);
  exchange.api = api;
  // Looked at now, so that it is there to be aborted.
  const { signal } = exchange;
  const writer = new StreamWriter(exchange, { status: route.status, type: route.mediaType, isLast: false });
  const write = async (chunk: Uint8Array): Promise<void> => {
    signal.throwIfAborted();
    await writer.writeBytes(chunk);
    signal.throwIfAborted();
  };
  try {
    await route.handle(api, { ...address, body }, call, write);
  } catch (error) {
    if (writer.hasBegun) exchange.reply.raw.destroy();
    throw error;
  }
  writer.end();
}

async function begin(
  route: LineRoute | EventRoute,
  exchange: Exchange,
  { api, address, call, parts }: StreamCall,
): Promise<AsyncIterable<unknown>> {
  const { limits } = parts.settings;
  if (route.stream === "events") {
    const body = checkBody(route, await takeBody(exchange, limits), limits);
    exchange.api = api;
    return route.handle(api, { ...address, body }, call);
  }
  assertBodyBelongs(exchange);
  const lines = readLines(exchange.request.raw, route.body, limits);
  exchange.api = api;
  return route.handle(api, { ...address, body: lines }, call);
}
