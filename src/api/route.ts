import type { z } from "zod";
import type { KeysteadApi } from "./keystead-api.ts";

/** What handlers know of a call beside its input. */
export interface RouteCall {
  /** Aborts when the client goes away, or the server ends. */
  readonly signal: AbortSignal;
  /** The entity tag of `If-Match`, for routes with `tagged`. */
  readonly ifMatch?: string;
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

/** One row of the route table: from it come the server's routes, the OpenAPI document, the client, and the reference page. */
export interface Route<
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
  readonly audit: AuditClass;
  /** True when it may be sent again after a lost connection. */
  readonly idempotent: boolean;
  /** Status of a good answer. */
  readonly status: 200 | 201 | 202 | 204;
  /** True when the answer has an `ETag`, and a change of it takes `If-Match`. */
  readonly tagged: boolean;
  readonly handle: (
    keystead: KeysteadApi,
    input: RouteInput<z.output<Params>, z.output<Query>, z.output<Body>>,
    call: RouteCall,
  ) => Promise<z.input<Answer>>;
}
