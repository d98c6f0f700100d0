import type { AnyRoute } from "./route.ts";
import { routesOf } from "./route-row.ts";
import { accessRoutes } from "./routes/access.ts";
import { auditRoutes } from "./routes/audit.ts";
import { dataRoutes } from "./routes/data.ts";
import { datasetRoutes } from "./routes/datasets.ts";
import { keyRoutes } from "./routes/keys.ts";
import { leaseRoutes } from "./routes/leases.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { registryRoutes } from "./routes/registry.ts";
import { streamRoutes } from "./routes/streams.ts";

/** Every row, by method and path. */
const routeRows = {
  ...dataRoutes,
  ...streamRoutes,
  ...leaseRoutes,
  ...keyRoutes,
  ...registryRoutes,
  ...datasetRoutes,
  ...accessRoutes,
  ...auditRoutes,
  ...metricsRoutes,
} as const;

/** The rows by method and path: the client takes its types from it. */
export type RouteRows = typeof routeRows;

/** What the server serves of the engine. */
export const routes: readonly AnyRoute[] = routesOf(routeRows);
