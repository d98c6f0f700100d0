import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import type { Clock } from "../clock.ts";
import { KeysteadError } from "../errors.ts";
import { anyOf } from "./any-of.ts";
import type { CallBounds } from "./call-bounds.ts";
import { cancelled, failureOf, mayPass, parseJson, problemError, readJson, readProblem, readText } from "./call-failures.ts";
import type { Connection, Request } from "./connection.ts";
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
import { untilAborted } from "./until-aborted.ts";

/** A call, as it is sent. */
interface Sent extends Omit<Request, "timeout"> {
  readonly idempotent: boolean;
}

/** What a call takes beside its input. */
interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly ifMatch?: string | undefined;
}

/** Status of an answer that is none. */
const noContent = 204;
const defaultRetries = 2;
/** Milliseconds before the first repetition; each further one waits twice as long. */
const firstPause = 100;
const longestPause = 10_000;
/** Milliseconds without an event, however short the time-out is: the server says every 15 seconds that it is still there. */
const longestSilence = 60_000;
/** Milliseconds after which a lost call is not asked again: the server may still be at it, and its caller has waited. */
const longestLost = 10_000;

/** Calls of a server's routes over connections that are kept. */
export class HttpCalls {
  readonly #connection: Connection;
  readonly #bounds: CallBounds;

  /** @param bounds of every call, beside what each one takes */
  constructor(connection: Connection, bounds: CallBounds = {}) {
    this.#connection = connection;
    this.#bounds = bounds;
  }

  /** What the client measures time by. */
  get clock(): Clock {
    return this.#connection.clock;
  }

  /** The same calls, which nothing but what each one takes stops. */
  get unstopped(): HttpCalls {
    const { signal: _, ...bounds } = this.#bounds;
    return new HttpCalls(this.#connection, bounds);
  }

  /**
   * Calls a route.
   * @param idempotent as the table has it: such a call is sent again when it is lost
   * @throws KeysteadError with the code that the server answers; `SERVER_UNREACHABLE`, `CANCELLED`, `CLOSED`; `UNAUTHENTICATED` also when the
   *   function that gives the token fails
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
      signal: this.#signal(options.signal),
    };
    return this.#repeat(sent, async (response) => {
      const answer = await readJson(response);
      assertAnswer(endpoint, answer, response.statusCode);
      return answer;
    });
  }

  /** The text that a route answers. @throws KeysteadError as {@link call} */
  text(endpoint: TextEndpoint): Promise<string> {
    const sent: Sent = { ...address(endpoint, {}), body: undefined, idempotent: true, ifMatch: undefined, signal: this.#signal() };
    return this.#repeat(sent, ({ body }) => readText(body));
  }

  /** Follows the events of a route until it ends. @throws KeysteadError as {@link call} */
  async *events<E extends EventEndpoint>(endpoint: E, input: EndpointInput<E>, stop?: AbortSignal): AsyncGenerator<EndpointAnswer<E>> {
    const signal = this.#signal(stop);
    const sent: Sent = { ...address(endpoint, input), body: undefined, idempotent: true, ifMatch: undefined, signal, longestSilence };
    const { body } = await this.#repeat(sent, (response) => Promise.resolve(response));
    try {
      for await (const event of readEvents(body)) {
        const answer = parseJson(event.data);
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
    stop?: AbortSignal,
  ): AsyncGenerator<LineAnswer<E>> {
    const signal = this.#signal(stop);
    const feed = new LineFeed(items, sentAs);
    const left = new AbortController();
    const sent: Sent = {
      ...address(endpoint, {}),
      body: Readable.from(feed.body(), { objectMode: false }),
      idempotent: false,
      ifMatch: undefined,
      signal: anyOf(signal, left.signal),
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
   * Takes the bytes that a route answers, piece by piece: the next one once `write` has taken the one before. Asked again only
   * before the first.
   * @throws KeysteadError as {@link call}; `SERVER_UNREACHABLE` also when the answer is cut off; what `write` throws
   */
  async bytes<E extends ByteEndpoint>(endpoint: E, input: EndpointInput<E>, write: (chunk: Buffer) => Promise<void> | void): Promise<void> {
    const signal = this.#signal();
    const sent: Sent = { ...address(endpoint, input), body: undefined, idempotent: true, ifMatch: undefined, signal };
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

  async #repeat<T>(sent: Sent, read: (response: Dispatcher.ResponseData) => Promise<T>): Promise<T> {
    const { options } = this.#connection;
    const { clock } = this;
    const { retries = options.retries ?? defaultRetries, timeout } = this.#bounds;
    for (let attempt = 0; ; attempt += 1) {
      const begun = clock.monotonic();
      try {
        const response = await this.#connection.send({ ...sent, timeout });
        if (response.statusCode < 300) return await read(response);
        throw await readProblem(response);
      } catch (error) {
        const { error: failure, retryAfter } = failureOf(error, sent.signal, sent.idempotent);
        const isLate = failure.code === "SERVER_UNREACHABLE" && clock.monotonic() - begun > longestLost;
        if (!sent.idempotent || attempt >= retries || isLate || !mayPass(failure)) throw failure;
        // Asked again earlier than the server wants, it would only refuse again.
        if (retryAfter !== undefined && retryAfter > longestPause)
          throw new KeysteadError(failure.code, `${failure.message} (Retry-After: ${String(retryAfter / 1_000)} s)`);
        await this.wait(retryAfter ?? Math.min(firstPause * 2 ** attempt, longestPause), sent.signal);
      }
    }
  }

  /** Waits by the client's clock. @throws KeysteadError `CANCELLED` */
  async wait(milliseconds: number, stop?: AbortSignal): Promise<void> {
    try {
      await this.clock.wait(milliseconds, this.#signal(stop));
    } catch (cause) {
      throw cancelled(cause);
    }
  }

  /** Waits for work until the calls are stopped; the work itself goes on. @throws KeysteadError `CANCELLED`, and what the work throws */
  async untilStopped<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this.#bounds;
    try {
      return await untilAborted(signal, work);
    } catch (error) {
      throw signal?.aborted === true ? cancelled(error) : error;
    }
  }

  /** What stops a call: what it was given itself, and what stops all calls. */
  #signal(own?: AbortSignal): AbortSignal | undefined {
    return anyOf(own, this.#bounds.signal);
  }
}

/** The server holds its answers to the table's schemas; here only their outermost form is looked at. */
function assertAnswer<E extends JsonEndpoint | EventEndpoint>(
  endpoint: E,
  answer: unknown,
  status?: number,
): asserts answer is EndpointAnswer<E> {
  const isThere = typeof answer === "object" && answer !== null && !Array.isArray(answer);
  if (isThere || (status === noContent && answer === undefined)) return;
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
  const path = template.replaceAll(/:(\w+)/g, (_, parameter: string) => encodeURIComponent(wellFormed(values.get(parameter) ?? "")));
  const present = Object.entries<unknown>(query).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(Object.fromEntries(present.map(([member, value]) => [member, wellFormed(String(value))])));
  const method = methods.find((known) => known === name) ?? "GET";
  return { method, path: search.size === 0 ? path : `${path}?${search.toString()}` };
}

/** @throws KeysteadError `INVALID_ARGUMENT` for text that an address would carry as another one */
function wellFormed(text: string): string {
  if (text.isWellFormed()) return text;
  throw new KeysteadError("INVALID_ARGUMENT", "a name, an id or a filter contains a lone surrogate: pass well-formed text");
}

const methods: readonly Dispatcher.HttpMethod[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
