import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { Agent, type Dispatcher } from "undici";
import { errorCodes, isErrorCode, KeysteadError } from "../errors.ts";
import type {
  ByteEndpoint,
  EndpointAnswer,
  EndpointInput,
  EventEndpoint,
  IsIdempotent,
  JsonEndpoint,
  LineAnswer,
  LineEndpoint,
  LineSent,
  TextEndpoint,
} from "./endpoints.ts";
import { LineFeed, type LineSource } from "./line-feed.ts";
import { cutOff, readAnswers } from "./read-answers.ts";
import { readEvents } from "./read-events.ts";

/** How a server is reached. */
export interface ConnectionOptions {
  /** `https://keys.example.org`; a path before `/v1` may follow. */
  readonly url: string;
  /** An API token or one of an identity provider; a function is asked before each call, and keeps what it got itself. */
  readonly token: string | (() => string | Promise<string>);
  /** PEM of the authorities that may have signed the server's certificate; those of the system when absent. */
  readonly ca?: string | Uint8Array;
  /** PEM of a client certificate and of its key, where the server wants them. */
  readonly certificate?: { readonly cert: string | Uint8Array; readonly key: string | Uint8Array };
  /** Milliseconds within which an answer has to begin; 30,000 when absent. */
  readonly timeout?: number;
  /** How often a call is sent again that may be, and that met a lost connection or a server that is busy; 2 when absent. */
  readonly retries?: number;
  /** Connections that are kept open at most; 16 when absent. */
  readonly connections?: number;
}

/** A call, as it is sent. */
interface Sent {
  readonly method: Dispatcher.HttpMethod;
  readonly path: string;
  /** JSON, or lines of it. */
  readonly body: string | Readable | undefined;
  readonly idempotent: boolean;
  readonly ifMatch: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What a call takes beside its input. */
interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly ifMatch?: string | undefined;
}

const defaults = { timeout: 30_000, retries: 2, connections: 16 } as const;
/** Milliseconds in which a connection is made, however long its answers may take. */
const longestConnecting = 30_000;
const longestAnswer = 64 * 1024 * 1024;
/** Milliseconds before the first repetition; each further one waits twice as long. */
const firstPause = 100;
const longestPause = 10_000;

/** Calls of a server's routes over connections that are kept. */
export class HttpCalls {
  readonly #options: ConnectionOptions;
  readonly #origin: URL;
  readonly #agent: Agent;

  /** @throws KeysteadError `INVALID_ARGUMENT` for an address that is none, or that carries a password */
  constructor(options: ConnectionOptions) {
    const { url, ca, certificate, connections = defaults.connections, timeout = defaults.timeout } = options;
    this.#options = options;
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

  /**
   * Calls a route.
   * @param idempotent as the table has it: such a call is sent again when it is lost
   * @throws KeysteadError with the code that the server answers; `SERVER_UNREACHABLE`, `CANCELLED`
   */
  async call<E extends JsonEndpoint>(
    endpoint: E,
    input: EndpointInput<E>,
    idempotent: IsIdempotent<E>,
    options: CallOptions = {},
  ): Promise<EndpointAnswer<E>> {
    const { body } = { body: undefined, ...input };
    const sent: Sent = {
      ...address(endpoint, input),
      body: body === undefined ? undefined : JSON.stringify(body),
      idempotent,
      ifMatch: options.ifMatch,
      signal: options.signal,
    };
    const text = await this.#repeat(sent, async ({ body: answer }) => readText(answer));
    const answer: unknown = text === "" ? undefined : JSON.parse(text);
    assertAnswer(endpoint, answer);
    return answer;
  }

  /** The text that a route answers. @throws KeysteadError as {@link call} */
  text(endpoint: TextEndpoint): Promise<string> {
    const sent: Sent = { ...address(endpoint, {}), body: undefined, idempotent: true, ifMatch: undefined, signal: undefined };
    return this.#repeat(sent, ({ body }) => readText(body));
  }

  /** Follows the events of a route until it ends. @throws KeysteadError as {@link call} */
  async *events<E extends EventEndpoint>(endpoint: E, input: EndpointInput<E>, signal?: AbortSignal): AsyncGenerator<EndpointAnswer<E>> {
    const sent: Sent = { ...address(endpoint, input), body: undefined, idempotent: true, ifMatch: undefined, signal };
    const { body } = await this.#repeat(sent, (response) => Promise.resolve(response));
    try {
      for await (const event of readEvents(body)) {
        const answer = parsed(event.data);
        if (event.name === "problem") throw problemError(answer);
        assertAnswer(endpoint, answer);
        yield answer;
      }
    } catch (error) {
      throw failureOf(error, signal).error;
    }
  }

  /**
   * Sends items to a route as lines, and gives the answer to each, in order. Not asked again.
   * @param sentAs what JSON has for an item
   * @throws KeysteadError as {@link call}; `SERVER_UNREACHABLE` also when not every item was answered; what the source throws
   */
  async *lines<E extends LineEndpoint, T>(
    endpoint: E,
    items: LineSource<T>,
    sentAs: (item: T) => LineSent<E>,
    signal?: AbortSignal,
  ): AsyncGenerator<LineAnswer<E>> {
    const feed = new LineFeed(items, sentAs);
    const left = new AbortController();
    const sent: Sent = {
      ...address(endpoint, {}),
      body: Readable.from(feed.body(), { objectMode: false }),
      idempotent: false,
      ifMatch: undefined,
      signal: signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]),
    };
    try {
      const { body } = await this.#repeat(sent, (response) => Promise.resolve(response));
      let answered = 0;
      for await (const answer of readAnswers(body)) {
        if ("streamProblem" in answer) throw problemError(answer.streamProblem);
        answered += 1;
        if (answered > feed.sent)
          throw new KeysteadError("INTERNAL", "the server answered more than it was asked; is it a Keystead server?");
        assertLine<E>(answer);
        yield answer;
      }
      if (answered < feed.sent || !feed.ended) throw cutOff();
    } catch (error) {
      throw feed.failure === undefined ? failureOf(error, signal).error : feed.failure.error;
    } finally {
      feed.stop();
      left.abort();
    }
  }

  /**
   * Takes the bytes that a route answers, piece by piece: the next one once `write` has taken the one before. Not asked again.
   * @throws KeysteadError as {@link call}; `SERVER_UNREACHABLE` also when the answer is cut off; what `write` throws
   */
  async bytes<E extends ByteEndpoint>(
    endpoint: E,
    input: EndpointInput<E>,
    write: (chunk: Buffer) => Promise<void> | void,
    signal?: AbortSignal,
  ): Promise<void> {
    const sent: Sent = { ...address(endpoint, input), body: undefined, idempotent: false, ifMatch: undefined, signal };
    const { body } = await this.#repeat(sent, (response) => Promise.resolve(response));
    const chunks: AsyncIterator<unknown> = body[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await chunks.next().catch((error: unknown) => {
          throw failureOf(error, signal).error;
        });
        if (next.done === true) return;
        if (Buffer.isBuffer(next.value)) await write(next.value);
      }
    } finally {
      await chunks.return?.();
    }
  }

  /** Ends connections once what is under way has ended. */
  close(): Promise<void> {
    return this.#agent.close();
  }

  async #repeat<T>(sent: Sent, read: (response: Dispatcher.ResponseData) => Promise<T>): Promise<T> {
    const { retries = defaults.retries } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const response = await this.#send(sent);
        if (response.statusCode < 300) return await read(response);
        throw await readProblem(response);
      } catch (error) {
        const failure = failureOf(error, sent.signal);
        if (!sent.idempotent || attempt >= retries || !mayPass(failure.error)) throw failure.error;
        await wait(failure.retryAfter ?? Math.min(firstPause * 2 ** attempt, longestPause), sent.signal);
      }
    }
  }

  async #send({ method, path, body, ifMatch, signal }: Sent): Promise<Dispatcher.ResponseData> {
    const { token } = this.#options;
    const credential = assertToken(typeof token === "string" ? token : await token());
    return this.#agent.request({
      origin: this.#origin.origin,
      path: this.#origin.pathname.replace(/\/$/, "") + path,
      method,
      headers: {
        authorization: `Bearer ${credential}`,
        accept: "application/json, application/problem+json, text/event-stream, application/x-ndjson, text/plain",
        ...(body !== undefined && { "content-type": typeof body === "string" ? "application/json" : "application/x-ndjson" }),
        ...(ifMatch !== undefined && { "if-match": `"${ifMatch}"` }),
      },
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
    });
  }
}

/** @throws KeysteadError `INVALID_ARGUMENT` for what no header can carry: a line break, most often, at the end of a file */
function assertToken(token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new KeysteadError("INVALID_ARGUMENT", "the token has characters that no token has; pass it without spaces and line breaks");
}

/** A failure as callers see it, and how long the server asks to wait. */
interface Failure {
  readonly error: KeysteadError;
  readonly retryAfter?: number;
}

/** The failure of an answer that is a problem. */
class ProblemAnswer extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.error.message);
    this.failure = failure;
  }
}

function failureOf(error: unknown, signal: AbortSignal | undefined): Failure {
  if (error instanceof ProblemAnswer) return error.failure;
  if (signal?.aborted === true) return { error: new KeysteadError("CANCELLED", "the call was stopped by its caller", { cause: error }) };
  if (error instanceof KeysteadError) return { error };
  return {
    error: new KeysteadError(
      "SERVER_UNREACHABLE",
      `the server did not answer (${reasonOf(error)}); check its address, its certificate and the network`,
      {
        cause: error,
      },
    ),
  };
}

/** The code that the system or the client gives: never an address's credentials, which it has none of. */
function reasonOf(error: unknown): string {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  return typeof code === "string" ? code : "no reason given";
}

/** True for what may be gone when the same is asked again. */
function mayPass({ code }: KeysteadError): boolean {
  return code === "SERVER_UNREACHABLE" || code === "RATE_LIMITED" || errorCodes[code].exit === errorCodes.STORE_BUSY.exit;
}

async function readProblem(response: Dispatcher.ResponseData): Promise<ProblemAnswer> {
  const text = await readText(response.body);
  const seconds = Number(response.headers["retry-after"]);
  const error = problemError(parsed(text), response.statusCode);
  return new ProblemAnswer({
    error,
    ...(Number.isFinite(seconds) && seconds >= 0 && { retryAfter: Math.min(seconds * 1000, longestPause) }),
  });
}

function problemError(problem: unknown, status?: number): KeysteadError {
  const { code, detail } = { code: undefined, detail: undefined, ...(typeof problem === "object" ? problem : {}) };
  if (isErrorCode(code) && typeof detail === "string") return new KeysteadError(code, detail);
  const said = status === undefined ? "an event that is no problem" : `status ${String(status)}`;
  return new KeysteadError("INTERNAL", `the server answered ${said} without a problem that this version knows; is it a Keystead server?`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readText(body: Dispatcher.ResponseData["body"]): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    const bytes: unknown = chunk;
    if (!Buffer.isBuffer(bytes)) continue;
    length += bytes.length;
    if (length > longestAnswer) throw new KeysteadError("TOO_LARGE", "the server's answer is longer than 64 MiB; ask for less at once");
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The server holds its answers to the table's schemas; here only their outermost form is looked at. */
function assertAnswer<E extends JsonEndpoint | EventEndpoint>(endpoint: E, answer: unknown): asserts answer is EndpointAnswer<E> {
  if (answer === undefined || (typeof answer === "object" && answer !== null)) return;
  throw new KeysteadError("INTERNAL", `the server's answer to ${endpoint} is no object; is it a Keystead server?`);
}

/** As {@link assertAnswer}. */
function assertLine<E extends LineEndpoint>(_answer: object): asserts _answer is object & LineAnswer<E> {
  // Nothing to look at but what is an object already.
}

/** Method and address of a route, with its parameters. */
function address(endpoint: string, input: object): Pick<Sent, "method" | "path"> {
  const [name, template = ""] = endpoint.split(" ");
  const { params, query } = { params: {}, query: {}, ...input };
  const values = new Map<string, string>(Object.entries<unknown>(params).map(([parameter, value]) => [parameter, String(value)]));
  const path = template.replaceAll(/:(\w+)/g, (_, parameter: string) => encodeURIComponent(values.get(parameter) ?? ""));
  const search = new URLSearchParams();
  for (const [member, value] of Object.entries<unknown>(query)) search.append(member, String(value));
  const method = methods.find((known) => known === name) ?? "GET";
  return { method, path: search.size === 0 ? path : `${path}?${search.toString()}` };
}

const methods: readonly Dispatcher.HttpMethod[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

function parseAddress(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol))
    throw new KeysteadError("INVALID_ARGUMENT", "the server's address is a URL that begins with https:// or http://");
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "")
    throw new KeysteadError("INVALID_ARGUMENT", "the server's address has no user, password, query or fragment; give the token by itself");
  if (url.protocol === "http:" && !isLoopback(url.hostname))
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      "without TLS anybody on the way reads the token; give an https:// address, or one of this machine",
    );
  return url;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function pem(text: string | Uint8Array): string {
  return typeof text === "string" ? text : Buffer.from(text).toString("utf8");
}

async function wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await pause(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw new KeysteadError("CANCELLED", "the call was stopped by its caller", { cause });
  }
}
