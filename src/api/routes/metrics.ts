import { z } from "zod";
import { textRoute, usual } from "../route-row.ts";

/** What the people who run a server watch it by. */
export const metricsRoutes = {
  "GET /metrics": textRoute({
    ...usual,
    summary: "Metrics of every process of the server, in Prometheus' text format.",
    tag: "server",
    action: "metrics.read",
    idempotent: true,
    problems: ["NOT_FOUND"],
    mediaType: "text/plain; version=0.0.4; charset=utf-8",
    answer: z.string(),
    handle: (keystead) => keystead.metrics.read(),
  }),
} as const;
