import type { FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../access/caller.ts";
import { anonymousPrincipal } from "../access/principal.ts";
import type { AnyRoute, Route, RouteCall } from "../api/route.ts";
import { problemsOf } from "../api/route-problems.ts";
import type { AuditEvent } from "../audit/event.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import { sendAnswer } from "./answer.ts";
import { bearerToken } from "./bearer.ts";
import { expectedTag } from "./if-match.ts";
import { Exchange, type ExchangeParts } from "./exchange.ts";
import { Load, Shed } from "./load.ts";
import { loggerOf } from "./log.ts";
import { assertAcceptable, inUtf8, mediaTypes } from "./media-types.ts";
import { isPassing, problemType } from "./problem.ts";
import { RateWindow, type Take } from "./rate-window.ts";
import { hasBody } from "./read-body.ts";
import { checkBody, readAddress, takeBody } from "./request-input.ts";
import { targetProblem } from "./request-target.ts";
import { RequestLog } from "./request-log.ts";
import { securityHeaders } from "./security-headers.ts";
import type { ServerParts } from "./server-parts.ts";
import { serveBytes, serveStream } from "./serve-stream.ts";
import { traceOf } from "./trace-fields.ts";
import { Turn } from "./turn.ts";
import { callerOf } from "./who-calls.ts";

/** Failures that say who may not do what. */
const denials: ReadonlySet<string> = new Set(["UNAUTHENTICATED", "ACCESS_DENIED", "APPROVAL_REQUIRED", "RATE_LIMITED"]);

/** How a call ended, as its record says it. */
type Ending = Pick<AuditEvent, "outcome" | "code" | "detail" | "items">;

/** How a stream without lines ended: access control was not asked, so it is not allowed either. */
const nothingDone: Ending = { outcome: "failed", detail: { items: 0, failed: 0, denied: 0 } };

/** Seconds after which it is worth trying again what failed in passing. */
const retrySeconds = 1;

/** Too many requests; carries what `Retry-After` says. */
class RateLimited extends KeysteadError {
  readonly take: Take;

  constructor(what: string, take: Take) {
    super("RATE_LIMITED", `too many ${what} in this minute; wait as long as Retry-After says`);
    this.take = take;
  }
}

/** A class, as V8 makes a hidden class of its own for each literal with a getter, and that keeps the request until old garbage is collected. */
class ExchangeCall implements RouteCall {
  declare readonly ifMatch?: string;
  readonly #server: RequestServer;
  readonly #exchange: Exchange;

  constructor(server: RequestServer, exchange: Exchange, ifMatch: string | undefined) {
    this.#server = server;
    this.#exchange = exchange;
    if (ifMatch !== undefined) this.ifMatch = ifMatch;
  }

  get signal(): AbortSignal {
    return this.#exchange.signal;
  }

  reauthenticate(): Promise<void> | void {
    return this.#server.reauthenticate(this.#exchange);
  }

  recordRefused(problems: readonly KeysteadError[]): Promise<void> {
    return this.#server.recordRefused(this.#exchange, problems);
  }
}

/** Serves requests by rows of the route table: finds out who asks, checks, calls the services, answers. */
export class RequestServer {
  readonly load: Load;
  readonly #parts: ServerParts;
  readonly #exchanges: ExchangeParts;
  readonly #failures: RateWindow;
  readonly #calls: RateWindow | undefined;
  readonly #log: RequestLog | undefined;
  readonly #turn = new Turn();
  /** Events that are being sent: they end when the server does. */
  readonly #events = new Set<Exchange>();
  #isEnding = false;

  constructor(parts: ServerParts) {
    const { settings, clock } = parts;
    const { callsPerMinute, failedAuthenticationsPerMinute } = settings.rateLimits;
    this.#parts = parts;
    this.#exchanges = { clock, logger: loggerOf(parts), headers: securityHeaders(settings) };
    this.#log = RequestLog.of(parts);
    this.load = new Load(settings.limits);
    this.#failures = new RateWindow(failedAuthenticationsPerMinute, clock);
    this.#calls = callsPerMinute === 0 ? undefined : new RateWindow(callsPerMinute, clock);
  }

  /** Serves one request of a route. @param failure - what is wrong with it already; who asks is found out nevertheless */
  serve(route: AnyRoute, request: FastifyRequest, reply: FastifyReply, failure?: Error): Promise<void> {
    return this.#observed(new Exchange(request, reply, route, this.#exchanges), (exchange) => this.#serve(route, exchange, failure));
  }

  /** Answers a request that no route serves. @param headers - of the answer, beside those that all have */
  reject(request: FastifyRequest, reply: FastifyReply, error: unknown, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    return this.#observed(new Exchange(request, reply, undefined, this.#exchanges), (exchange) => this.#reject(exchange, error, headers));
  }

  /** Where somebody carries something around the work, a trace for example, that is around it. */
  #observed(exchange: Exchange, work: (exchange: Exchange) => Promise<void>): Promise<void> {
    const { observer } = this.#parts;
    if (observer?.request === undefined) return work(exchange);
    const { request, path, reply } = exchange;
    const trace = traceOf(request.raw);
    return observer.request({ method: request.method, route: path, status: () => reply.raw.statusCode, trace }, () => work(exchange));
  }

  async #serve(route: AnyRoute, exchange: Exchange, failure: Error | undefined): Promise<void> {
    let isIn = false;
    this.#parts.observer?.requestBegan();
    try {
      // Whoever watches the server must hear of it most of all when it has too much to do.
      if (route.audit === "service") {
        this.load.enter();
        isIn = true;
      }
      await this.#answer(route, exchange, failure);
    } catch (error) {
      await this.refuse(exchange, error);
    } finally {
      if (isIn) this.load.leave();
      this.#tell(exchange);
    }
  }

  async #reject(exchange: Exchange, error: unknown, headers: Readonly<Record<string, string>>): Promise<void> {
    Object.assign(exchange.headers, headers);
    this.#parts.observer?.requestBegan();
    try {
      await this.refuse(exchange, error);
    } finally {
      this.#tell(exchange);
    }
  }

  /** Tells whoever watches, and the log, that a request was answered. */
  #tell(exchange: Exchange): void {
    const { clock, observer } = this.#parts;
    const { request, reply, path, started } = exchange;
    observer?.requestEnded({ method: request.method, route: path, status: reply.raw.statusCode }, clock.monotonic() - started);
    this.#log?.write(exchange);
  }

  /** Answers with a problem, once the refusal is recorded. */
  async refuse(exchange: Exchange, error: unknown): Promise<void> {
    const { reply, request, headers } = exchange;
    const failure = await this.#recordRefusal(exchange, error);
    const problem = exchange.fail(this.#parts.checkAnswers === true ? documented(exchange.route, failure) : failure);
    if (reply.sent) return;
    if (problem.status === 401) headers["www-authenticate"] = `Bearer realm="keystead"${challengeFor(request)}`;
    if (failure instanceof RateLimited) headers["retry-after"] = failure.take.retryAfter;
    else if (isPassing(problem)) headers["retry-after"] = retrySeconds;
    // What was not read must not be taken for the next request, nor be waited for.
    if (this.#isEnding || (!request.raw.complete && (hasBody(request.raw) || problem.code === "REQUEST_TIMEOUT")))
      headers["connection"] = "close";
    exchange.answer(problem.status, inUtf8(problemType), JSON.stringify(problem));
  }

  /** Ends what would never end by itself; connections are closed by their next answer. */
  end(): void {
    this.#isEnding = true;
    for (const exchange of this.#events) exchange.abort();
  }

  close(): void {
    this.load.close();
  }

  async #answer(route: AnyRoute, exchange: Exchange, failure: Error | undefined): Promise<void> {
    const { apiFor, settings } = this.#parts;
    const { raw } = exchange.request;
    const problem = targetProblem(raw.url ?? "", settings.limits.urlBytes);
    if (problem !== undefined) throw problem;
    assertClear(raw);
    await this.#turn.end();
    const found = this.#authenticate(route, exchange);
    const caller = found instanceof Promise ? await found : found;
    if (failure !== undefined) throw failure;
    const answerType = answerTypeOf(route);
    assertAcceptable(raw.headers.accept, answerType);
    const ifMatch = ifMatchOf(route, raw.headers["if-match"]);
    const address = readAddress(route, exchange);
    const call = new ExchangeCall(this, exchange, ifMatch);
    const api = apiFor(caller);
    if (route.stream !== undefined) {
      const recordRefusal = (error: unknown): Promise<unknown> => this.#recordRefusal(exchange, error);
      const stream = { api, address, call, parts: this.#parts, recordRefusal };
      await this.#stream(exchange, () =>
        route.stream === "bytes" ? serveBytes(route, exchange, stream) : serveStream(route, exchange, stream),
      );
      return;
    }
    const taken = takeBody(exchange, settings.limits);
    const body = checkBody(route, taken instanceof Promise ? await taken : taken, settings.limits);
    exchange.api = api;
    const answer = await route.handle(api, { ...address, body }, call);
    const recorded = this.#recordUnrecorded(exchange);
    if (recorded !== undefined) await recorded;
    if (this.#parts.checkAnswers === true) assertAnswer(route, answer);
    if (this.#isEnding) exchange.headers["connection"] = "close";
    sendAnswer(exchange, route, answer);
  }

  async #stream(exchange: Exchange, work: () => Promise<void>): Promise<void> {
    this.load.enterStream();
    if (exchange.route?.stream === "events") {
      this.#events.add(exchange);
      // It came just before the end began.
      if (this.#isEnding) exchange.abort();
    }
    try {
      await work();
      // Of lines each batch is recorded: there was none.
      await this.#recordUnrecorded(exchange, exchange.route?.stream === "ndjson" ? nothingDone : undefined);
    } finally {
      this.#events.delete(exchange);
      this.load.leaveStream();
    }
  }

  /** {@link RouteCall.reauthenticate}. Not async, as {@link #authenticate}. */
  reauthenticate(exchange: Exchange): Promise<void> | void {
    try {
      const found = this.#bearerOf(exchange);
      if (!(found instanceof Promise)) return;
      return found.then(
        () => undefined,
        (error: unknown) => this.#disown(exchange, error),
      );
    } catch (error) {
      return this.#disown(exchange, error);
    }
  }

  /** {@link RouteCall.recordRefused} */
  recordRefused(exchange: Exchange, problems: readonly KeysteadError[]): Promise<void> {
    const { length } = problems;
    const detail = { items: length, failed: length, denied: 0 };
    return this.#record(exchange, { outcome: "failed", items: problems.map(({ code }) => `!${code}`), detail });
  }

  /** Records that a credential is not good any more, beside what was done with it. @throws the error to answer */
  async #disown(exchange: Exchange, error: unknown): Promise<never> {
    throw await recordFailure(error, (ending) => this.#record(exchange, ending));
  }

  /**
   * Who asks, with the request; nobody where nobody is asked. Not async: nearly every token is known already.
   * @throws KeysteadError `UNAUTHENTICATED`, `RATE_LIMITED`, `OVERLOADED`
   */
  #authenticate(route: AnyRoute, exchange: Exchange): Promise<Caller> | Caller {
    if (route.audit === "none" && route.action === undefined) return { principal: anonymousPrincipal, request: exchange.origin };
    let found: Promise<Caller> | Caller;
    try {
      found = this.#bearerOf(exchange);
    } catch (error) {
      throw this.#refusedToken(exchange, error);
    }
    if (!(found instanceof Promise)) return this.#admit(exchange, found);
    return found.then(
      (caller) => this.#admit(exchange, caller),
      (error: unknown) => {
        throw this.#refusedToken(exchange, error);
      },
    );
  }

  /** Whom the token speaks for. @throws KeysteadError `UNAUTHENTICATED`, `OVERLOADED` */
  #bearerOf({ request }: Exchange): Promise<Caller> | Caller {
    const token = bearerToken(request.raw);
    if (token !== undefined) return callerOf(token, this.#parts.authenticators);
    throw new KeysteadError(
      "UNAUTHENTICATED",
      'there is no token; send "Authorization: Bearer TOKEN" (`keystead tokens create` makes one)',
    );
  }

  /** @throws KeysteadError `RATE_LIMITED` */
  #admit(exchange: Exchange, found: Caller): Caller {
    const caller = { ...found, request: exchange.origin };
    exchange.caller = caller;
    const take = this.#calls?.take(`${caller.principal.source}:${caller.principal.id}`);
    if (take?.within === false) throw new RateLimited("calls came with your credential", take);
    return caller;
  }

  /** The error to answer for a token that is not good, or can't be checked. */
  #refusedToken({ origin }: Exchange, error: unknown): unknown {
    // A token of an issuer that is away is not a good one either: whoever makes up such tokens must not fill the audit.
    if (!isKeysteadError(error, "UNAUTHENTICATED") && !isKeysteadError(error, "OVERLOADED")) return error;
    const take = this.#failures.take(origin.address ?? "");
    return take.within ? error : new RateLimited("requests without a good token came from your address", take);
  }

  /** Records a call that nobody has recorded. Not async: nearly every call is recorded already. @throws KeysteadError `AUDIT_UNAVAILABLE` */
  #recordUnrecorded(exchange: Exchange, ending: Ending = { outcome: "allowed" }): Promise<void> | void {
    const { route, api, recorded } = exchange;
    if (route?.audit !== "service" || recorded || (api !== undefined && api.records > 0)) return;
    return this.#record(exchange, ending);
  }

  /** @throws KeysteadError `AUDIT_UNAVAILABLE` */
  #record(exchange: Exchange, ending: Ending): Promise<void> {
    const { route, caller = { principal: anonymousPrincipal }, origin } = exchange;
    exchange.recorded = true;
    return this.#parts.recordCall({ action: route?.action ?? "server.call", principal: caller.principal, request: origin, ...ending });
  }

  /** @returns the error to answer: another one when the first can't be recorded */
  async #recordRefusal(exchange: Exchange, error: unknown): Promise<unknown> {
    return isShed(error) ? error : recordFailure(error, (ending) => this.#recordUnrecorded(exchange, ending));
  }
}

/** Records a failure. @returns the error to answer: another one when it can't be recorded */
async function recordFailure(error: unknown, record: (ending: Ending) => Promise<void> | void): Promise<unknown> {
  const code = error instanceof KeysteadError ? error.code : "INTERNAL";
  try {
    await record({ outcome: denials.has(code) ? "denied" : "failed", code });
    return error;
  } catch (failure) {
    return isKeysteadError(failure, "AUDIT_UNAVAILABLE")
      ? failure
      : new KeysteadError("AUDIT_UNAVAILABLE", "the call failed, and that could not be recorded; free or repair the audit's disk", {
          cause: new AggregateError([error, failure]),
        });
  }
}

/** Recording what is shed would make a flood worse: of each minute and key the first is recorded. */
function isShed(error: unknown): boolean {
  return error instanceof Shed || (error instanceof RateLimited && !error.take.isFirst);
}

function challengeFor({ headers }: FastifyRequest): string {
  return headers.authorization === undefined ? "" : ', error="invalid_token"';
}

/**
 * Refuses what Node's parser lets pass, and proxies read in several ways: HTTP/0.9, a transfer encoding other than chunks (RFC 9112, 6.1),
 * another number of Host headers than one (RFC 9112, 3.2).
 * @throws KeysteadError `INVALID_ARGUMENT`
 */
function assertClear({ httpVersion, headers, rawHeaders }: FastifyRequest["raw"]): void {
  if (httpVersion === "0.9") throw new KeysteadError("INVALID_ARGUMENT", "the request is HTTP/0.9; speak HTTP/1.1");
  const encoding = headers["transfer-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "chunked")
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      "the request has another Transfer-Encoding than chunked; send it so, or with a Content-Length",
    );
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    if (name.length === "host".length && name.toLowerCase() === "host") count++;
  }
  if (count > 1 || (httpVersion === "1.1" && headers.host === undefined))
    throw new KeysteadError("INVALID_ARGUMENT", "the request does not have one Host header; send one");
}

function answerTypeOf(route: AnyRoute): string {
  if (route.stream === "ndjson" || route.stream === "events") return mediaTypes[route.stream];
  return route.mediaType?.split(";")[0] ?? mediaTypes.json;
}

/** @throws KeysteadError `INVALID_ARGUMENT` where it would not be heeded */
function ifMatchOf({ method, tagged }: AnyRoute, ifMatch: string | undefined): string | undefined {
  if (ifMatch === undefined || method === "GET") return undefined;
  if (!tagged) throw new KeysteadError("INVALID_ARGUMENT", "this address takes no If-Match; leave it out");
  return expectedTag(ifMatch);
}

/** The failure itself where the route's row says that it may come, else an error that says otherwise. */
function documented(route: AnyRoute | undefined, failure: unknown): unknown {
  const code = failure instanceof KeysteadError ? failure.code : "INTERNAL";
  if (route === undefined || problemsOf(route).has(code)) return failure;
  return new Error(`the row of ${route.method} ${route.path} does not say that it answers ${code}`, { cause: failure });
}

function assertAnswer({ path, answer }: Route, given: unknown): void {
  const found = answer.safeParse(given);
  if (!found.success) throw new Error(`the answer of ${path} is not what its schema says`, { cause: found.error });
}
