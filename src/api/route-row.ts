import { z } from "zod";
import type { AnyRoute, ByteRoute, EventRoute, LineRoute, Route, RouteMethod } from "./route.ts";

/** Headings of the reference, in its order. */
export const routeTags = [
  "data",
  "leases",
  "keys",
  "purposes",
  "KEKs",
  "datasets",
  "jobs",
  "access",
  "audit",
  "settings",
  "server",
] as const;

/** Heading of the reference. */
export type RouteTag = (typeof routeTags)[number];

/** Method and path, `POST /v1/keys/:key/rotate`: the name of a row in the table. */
export type Endpoint = `${RouteMethod} /${string}`;

/** A row of the table, without method and path, which its name says. */
export type Row<R> = Omit<R, "method" | "path" | "tag"> & { readonly tag: RouteTag };

/** Any row of the table. */
export type AnyRow = Row<Route> | Row<LineRoute> | Row<EventRoute> | Row<ByteRoute>;

/** The schema of a part that has to be empty. */
export const nothing = z.strictObject({});

/** The type of {@link nothing}. */
export type Nothing = typeof nothing;

/** What most routes have in common; a row says what is different. */
export const usual = {
  params: nothing,
  query: nothing,
  body: nothing,
  audit: "service",
  idempotent: false,
  status: 200,
  tagged: false,
  problems: [],
} as const;

/** What routes have in common that have nothing to answer. */
export const silent = { ...usual, answer: z.void(), status: 204 } as const;

/** A row that answers with one JSON value, or with nothing. */
export type JsonRow<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, A extends z.ZodType, Idempotent extends boolean> = Row<
  Route<P, Q, B, A>
> & { readonly idempotent: Idempotent };

/** Checks the types of a row that answers with one JSON value, or with nothing. */
export function jsonRoute<
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  A extends z.ZodType,
  const Idempotent extends boolean,
>(row: JsonRow<P, Q, B, A, Idempotent>): JsonRow<P, Q, B, A, Idempotent> {
  return row;
}

/** A row that answers with a text as it is, of a media type of its own. */
export type TextRow = Row<Route<Nothing, Nothing, Nothing, z.ZodString>> & { readonly mediaType: string; readonly idempotent: true };

/** Checks the types of a row that answers with a text. */
export function textRoute(row: TextRow): TextRow {
  return row;
}

/** A route that takes and answers lines of JSON, however many. */
export function lineRoute<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, A extends z.ZodType>(
  row: Omit<Row<LineRoute<P, Q, B, A>>, "stream">,
): Row<LineRoute<P, Q, B, A>> {
  return { ...row, stream: "ndjson" };
}

/** A route that answers with events as they happen. */
export function eventRoute<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, A extends z.ZodType>(
  row: Omit<Row<EventRoute<P, Q, B, A>>, "stream">,
): Row<EventRoute<P, Q, B, A>> {
  return { ...row, stream: "events" };
}

/** A route that answers with bytes as they are. */
export function byteRoute<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  row: Omit<Row<ByteRoute<P, Q, B>>, "stream" | "answer">,
): Row<ByteRoute<P, Q, B>> {
  return { ...row, answer: z.void(), stream: "bytes" };
}

/** The rows of a table as routes. */
export function routesOf(rows: Readonly<Record<Endpoint, AnyRow>>): AnyRoute[] {
  return Object.entries(rows).map(([endpoint, row]) => ({ ...row, ...splitEndpoint(endpoint) }));
}

const methods: readonly RouteMethod[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

function splitEndpoint(endpoint: string): { readonly method: RouteMethod; readonly path: string } {
  const [name, path = ""] = endpoint.split(" ");
  const method = methods.find((known) => known === name) ?? "POST";
  return { method, path };
}
