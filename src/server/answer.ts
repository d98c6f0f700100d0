import type { Route } from "../api/route.ts";
import { tagOfJson } from "../keys/entity-tag.ts";
import { isKnown } from "./if-match.ts";
import type { Exchange } from "./exchange.ts";
import { inUtf8, mediaTypes } from "./media-types.ts";

const jsonType = inUtf8(mediaTypes.json);

/** Sends what a handler answered. */
export function sendAnswer(exchange: Exchange, route: Route, answer: unknown): void {
  if (route.status === 204) {
    exchange.answer(204);
    return;
  }
  if (route.mediaType !== undefined) {
    exchange.answer(route.status, route.mediaType, String(answer));
    return;
  }
  const json = JSON.stringify(answer);
  if (route.tagged) {
    const tag = tagOfJson(json);
    exchange.headers["etag"] = `"${tag}"`;
    // Who may not have it has been refused by now, so "you have it already" tells nothing.
    if (route.method === "GET" && isKnown(exchange.request.headers["if-none-match"], tag)) {
      exchange.answer(304);
      return;
    }
  }
  exchange.answer(route.status, jsonType, json);
}
