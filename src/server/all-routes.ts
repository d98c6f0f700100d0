import { z } from "zod";
import { openApiDocument } from "../api/openapi.ts";
import type { AnyRoute, Route } from "../api/route.ts";
import { healthRoutes, type nothing, unasked } from "./health-routes.ts";
import type { ServerParts } from "./server-parts.ts";

/** Every route of a server: those of its table, those by which machines watch it, and the document of all of them. */
export function allRoutes({ routes, health, version }: Pick<ServerParts, "routes" | "health" | "version">): readonly AnyRoute[] {
  let text: string | undefined;
  const document: Route<typeof nothing, typeof nothing, typeof nothing, z.ZodString> = {
    ...unasked,
    path: "/openapi.json",
    summary: "The OpenAPI document of everything that the server answers.",
    answer: z.string(),
    mediaType: "application/json",
    handle: async () => (text ??= JSON.stringify(openApiDocument(all, version))),
  };
  const all = [...healthRoutes({ health, version }), document, ...routes];
  return all;
}
