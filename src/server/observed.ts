import type { FastifyReply, FastifyRequest } from "fastify";
import type { AnyRoute } from "../api/route.ts";
import type { ServerParts } from "./server-parts.ts";

/** Header fields of W3C Trace Context. */
const traceFields = ["traceparent", "tracestate"] as const;

/** Runs what answers a request under the eyes of the server's observer, if it has one. */
export function observed(
  { observer }: Pick<ServerParts, "observer">,
  request: FastifyRequest,
  reply: FastifyReply,
  route: AnyRoute | undefined,
  work: () => Promise<FastifyReply>,
): Promise<FastifyReply> {
  if (observer === undefined) return work();
  const { headers } = request.raw;
  const trace: Record<string, string> = {};
  for (const name of traceFields) {
    const value = headers[name];
    if (typeof value === "string") trace[name] = value;
  }
  const seen = { method: request.method, route: route?.path ?? "none", status: () => reply.raw.statusCode, trace };
  return observer.request(seen, work);
}
