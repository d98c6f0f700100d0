import type { z } from "zod";
import type { ErrorCode, KeysteadError } from "../errors.ts";
import type { KeysteadApi } from "./keystead-api.ts";

/** What handlers know of a call beside its input. */
export interface RouteCall {
  /** Aborts when the client goes away, or the server ends. */
  readonly signal: AbortSignal;
  /** The entity tag of `If-Match`, without its quotes, or `*` for any; for routes with `tagged`. */
  readonly ifMatch?: string;
  /**
   * Finds out again whether the caller's credential is good, for what goes on after that was found out. At once where it is remembered. A
   * refusal is recorded.
   * @throws KeysteadError `UNAUTHENTICATED`, `OVERLOADED`
   */
  reauthenticate(): Promise<void> | void;
  /** Records lines that could not be taken, durably. @throws KeysteadError `AUDIT_UNAVAILABLE` */
  recordRefused(problems: readonly KeysteadError[]): Promise<void>;
}

/** The parts of a request, checked. */
export interface RouteInput<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
}

/** The schemas of a request's parts; a part that is absent must be empty. */
export interface RouteSchemas<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType, Answer extends z.ZodType> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly answer: Answer;
}

/** Methods of HTTP that routes use. */
export type RouteMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/**
 * How a route's calls are recorded: `service`: the engine's services record each one, and what fails before it reaches them is recorded by the
 * server; `none`: nobody is asked who it is, and nothing is recorded (health, version, documents).
 */
export type AuditClass = "service" | "none";

/** What every row of the route table says, whatever its answers look like. */
export interface RouteFacts<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> extends RouteSchemas<Params, Query, Body, Answer> {
  readonly method: RouteMethod;
  /** Begins with `/`; parameters as `:name`, percent-encoded in addresses. */
  readonly path: string;
  /** One sentence, for the document and the reference. */
  readonly summary: string;
  /** Under which heading the reference lists it. */
  readonly tag: string;
  /** What policies are asked: `data.encrypt`. Undefined for routes that ask for nothing. */
  readonly action: string | undefined;
  /** What policies are asked instead, by what the body says. */
  readonly otherActions?: readonly string[];
  readonly audit: AuditClass;
  /** True when it may be sent again after a lost connection. */
  readonly idempotent: boolean;
  /** Status of a good answer. */
  readonly status: 200 | 201 | 202 | 204;
  /** True when the answer has an `ETag`, and a change of it takes `If-Match`. */
  readonly tagged: boolean;
  /** Codes that it refuses calls with, beside those that follow from the rest of its row (`problemsOf`). */
  readonly problems: readonly ErrorCode[];
}

/**
 * One row of the route table: from it come the server's routes, the OpenAPI document, the client, and the reference page. `handle` is a
 * method so that a row with schemas of its own is a `Route`, too.
 */
export interface Route<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> extends RouteFacts<Params, Query, Body, Answer> {
  readonly stream?: undefined;
  /** Media type of an answer that is a text and sent as it is, `text/plain; charset=utf-8`. Absent: the answer is sent as JSON. */
  readonly mediaType?: string;
  handle(
    keystead: KeysteadApi,
    input: RouteInput<z.output<Params>, z.output<Query>, z.output<Body>>,
    call: RouteCall,
  ): Promise<z.input<Answer>>;
}

/** One line of a stream: what it says, or why it can't be taken; the lines after it go on. */
export type RouteLine<T> = ({ readonly value: T; readonly problem?: undefined } | { readonly problem: KeysteadError }) & {
  /** Bytes. */
  readonly length: number;
};

/**
 * A row whose body is lines of JSON (`application/x-ndjson`), each with the schema `body`, and whose answer is lines, each with the schema
 * `answer`. Reading goes on as answers are taken. An error before the first answer is answered as ever; a later one ends the stream
 * with a line `{ "streamProblem": … }`.
 */
export interface LineRoute<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> extends RouteFacts<Params, Query, Body, Answer> {
  readonly stream: "ndjson";
  handle(
    keystead: KeysteadApi,
    input: RouteInput<z.output<Params>, z.output<Query>, AsyncIterable<RouteLine<z.output<Body>>>>,
    call: RouteCall,
  ): AsyncIterable<z.input<Answer>>;
}

/** A row whose answer is server-sent events (`text/event-stream`), each with one `answer` as JSON. Its signal aborts when the server ends. */
export interface EventRoute<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> extends RouteFacts<Params, Query, Body, Answer> {
  readonly stream: "events";
  handle(
    keystead: KeysteadApi,
    input: RouteInput<z.output<Params>, z.output<Query>, z.output<Body>>,
    call: RouteCall,
  ): AsyncIterable<z.input<Answer>>;
}

/** Takes a piece of an answer; resolves when more may be written. @throws KeysteadError `CANCELLED` when the client is gone */
export type WriteBytes = (chunk: Uint8Array) => Promise<void>;

/**
 * A row whose answer is bytes as they are, however many. An error before the first of them is answered as ever; a later one cuts the
 * connection off, so that nobody takes what came for the whole.
 */
export interface ByteRoute<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
> extends RouteFacts<Params, Query, Body, z.ZodVoid> {
  readonly stream: "bytes";
  readonly mediaType: string;
  handle(
    keystead: KeysteadApi,
    input: RouteInput<z.output<Params>, z.output<Query>, z.output<Body>>,
    call: RouteCall,
    write: WriteBytes,
  ): Promise<void>;
}

/** Any row of the route table. */
export type AnyRoute = Route | LineRoute | EventRoute | ByteRoute;
