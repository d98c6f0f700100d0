import type { FastifyReply } from "fastify";
import type { Route } from "../api/route.ts";
import { tagOfJson } from "../keys/entity-tag.ts";
import { isKnown } from "./if-match.ts";
import type { Exchange } from "./exchange.ts";
import { mediaTypes } from "./media-types.ts";

/** Sends what a handler answered. */
export function sendAnswer({ request, reply }: Exchange, route: Route, answer: unknown): FastifyReply {
  if (route.status === 204) return reply.code(204).send();
  if (route.mediaType !== undefined) return reply.code(route.status).header("content-type", route.mediaType).send(String(answer));
  const json = JSON.stringify(answer);
  reply.code(route.status).header("content-type", mediaTypes.json);
  if (route.tagged) {
    const tag = tagOfJson(json);
    reply.header("etag", `"${tag}"`);
    // Who may not have it has been refused by now, so "you have it already" tells nothing.
    if (route.method === "GET" && isKnown(request.headers["if-none-match"], tag)) {
      reply.removeHeader("content-type");
      return reply.code(304).send();
    }
  }
  return reply.send(json);
}
