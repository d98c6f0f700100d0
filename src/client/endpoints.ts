import type { z } from "zod";
import type { RouteRows } from "../api/routes.ts";

/** Method and path of a route that answers with one JSON value, or nothing. */
export type JsonEndpoint = {
  readonly [E in keyof RouteRows]: RouteRows[E] extends { readonly stream: string } | { readonly mediaType: string } ? never : E;
}[keyof RouteRows];

/** Method and path of a route that answers with a text. */
export type TextEndpoint = {
  readonly [E in keyof RouteRows]: RouteRows[E] extends { readonly mediaType: string } ? E : never;
}[keyof RouteRows];

/** Method and path of a route that answers with events. */
export type EventEndpoint = {
  readonly [E in keyof RouteRows]: RouteRows[E] extends { readonly stream: "events" } ? E : never;
}[keyof RouteRows];

/** Method and path of a route that takes and answers lines of JSON. */
export type LineEndpoint = {
  readonly [E in keyof RouteRows]: RouteRows[E] extends { readonly stream: "ndjson" } ? E : never;
}[keyof RouteRows];

/** A line that such a route takes. */
export type LineSent<E extends LineEndpoint> = z.input<RouteRows[E]["body"]>;

/** A line that such a route answers. */
export type LineAnswer<E extends LineEndpoint> = z.output<RouteRows[E]["answer"]>;

/** Method and path of a route that answers with bytes as they are. */
export type ByteEndpoint = {
  readonly [E in keyof RouteRows]: RouteRows[E] extends { readonly stream: "bytes" } ? E : never;
}[keyof RouteRows];

/** A part of a request: nothing where none belongs, and not needed where everything in it is left to defaults. */
type Member<Name extends string, T> = [T] extends [Record<string, never>]
  ? object
  : Record<string, never> extends T
    ? { readonly [M in Name]?: T }
    : { readonly [M in Name]: T };

/** What a route is sent. */
export type EndpointInput<E extends keyof RouteRows> = Member<"params", z.input<RouteRows[E]["params"]>> &
  Member<"query", z.input<RouteRows[E]["query"]>> &
  Member<"body", z.input<RouteRows[E]["body"]>>;

/** What a route answers. */
export type EndpointAnswer<E extends keyof RouteRows> = z.output<RouteRows[E]["answer"]>;

/** Whether a route may be asked again. The table says it; calls repeat it, as the client has none of the table at run time. */
export type IsIdempotent<E extends keyof RouteRows> = RouteRows[E]["idempotent"];
