import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import { checkFields } from "../field-problem.ts";
import { nothing } from "../api/route-row.ts";
import { formOf } from "../api/schemas/common.ts";
import type { AnyRoute, RouteFacts } from "../api/route.ts";
import type { Exchange } from "./exchange.ts";
import { parseJson } from "./json-body.ts";
import { assertContentType, mediaTypes } from "./media-types.ts";
import { parseQuery } from "./query.ts";
import { hasBody, readBody } from "./read-body.ts";
import type { ServerLimits } from "./settings.ts";

/** True for what has no properties: most parts of most requests, not worth asking a schema. */
function isEmpty(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  for (const _ in value) return false;
  return true;
}

const compiledSchemas = new WeakMap<z.ZodType, z.ZodType>();

/** Methods whose requests have no body that means anything. */
const bodiless: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** Path and query of a request, as its route's schemas make them. @throws KeysteadError `INVALID_ARGUMENT`, `TOO_LARGE` */
export function readAddress({ params, query }: RouteFacts, { request }: Exchange): { readonly params: unknown; readonly query: unknown } {
  return { params: check("the address", params, request.params), query: check("the parameters", query, parseQuery(request.raw.url ?? "")) };
}

/**
 * The body of a request as it came, undefined when there is none. At once when it has arrived, as nearly all have: then nobody waits.
 * @throws KeysteadError `INVALID_ARGUMENT`, `TOO_LARGE`, `REQUEST_TIMEOUT`, `UNSUPPORTED_MEDIA_TYPE`, `CANCELLED`
 */
export function takeBody(exchange: Exchange, limits: ServerLimits): Promise<Buffer> | Buffer | undefined {
  const { raw } = exchange.request;
  assertBodyBelongs(exchange);
  if (!hasBody(raw)) return undefined;
  assertContentType(raw.headers["content-type"], raw.headers["content-encoding"], mediaTypes.json);
  return readBody(raw, limits);
}

/**
 * A body as its route's schema makes it. One that isn't there is an empty object, or nothing where the schema takes that.
 * @throws KeysteadError `INVALID_ARGUMENT`, `TOO_LARGE`
 */
export function checkBody({ body }: AnyRoute, bytes: Buffer | undefined, limits: ServerLimits): unknown {
  if (bytes === undefined) return check("the body", body, body.safeParse(undefined).success ? undefined : {});
  const value = parseJson(bytes, limits);
  return check("the body", formOf(body, value), value);
}

/** @throws KeysteadError `INVALID_ARGUMENT` for a body where none belongs: some proxies take it for the next request */
export function assertBodyBelongs({ request }: Exchange): void {
  if (bodiless.has(request.method) && hasBody(request.raw))
    throw new KeysteadError("INVALID_ARGUMENT", `a ${request.method} request has no body; send it without one`);
}

function check(what: string, schema: z.ZodType, value: unknown): unknown {
  if (schema === nothing && isEmpty(value)) return value;
  const found = checkFields(what, compiled(schema), value);
  if (found.problem !== undefined) throw new KeysteadError("INVALID_ARGUMENT", found.problem);
  return found.data;
}

/** The same schema with code of its own for values that are good: those of a batch are checked by the hundred. Made when it is first asked. */
function compiled(schema: z.ZodType): z.ZodType {
  const known = compiledSchemas.get(schema) ?? z.compile(schema);
  compiledSchemas.set(schema, known);
  return known;
}
