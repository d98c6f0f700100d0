import cluster from "node:cluster";
import type { Clock } from "../clock.ts";
import { Metrics } from "../metrics/metrics.ts";
import { joinWorkers } from "../metrics/workers.ts";
import { type Observer, observers } from "../observer.ts";
import { Traces } from "../telemetry/traces.ts";
import type { ServerSettings } from "./settings.ts";

/** What watches a server and its engine. */
export interface Watch {
  /** For the engine: `openKeystead({ …, metrics, observers: traces })`. */
  readonly metrics: Metrics;
  readonly traces: readonly Traces[];
  /** For the server. */
  readonly observer: Observer;
}

/**
 * Makes what the settings want, before the engine is opened. In a worker the numbers are those of all workers.
 * @throws KeysteadError `INVALID_ARGUMENT` when traces are wanted and OpenTelemetry is not installed
 */
export async function openWatch(
  { metrics: { names }, telemetry }: Pick<ServerSettings, "metrics" | "telemetry">,
  { version, clock }: { readonly version: string; readonly clock: Clock },
): Promise<Watch> {
  const metrics = new Metrics({ version, clock, names });
  if (cluster.isWorker) joinWorkers(metrics, process, clock);
  const traces = telemetry.traces ? [await Traces.open(version)] : [];
  return { metrics, traces, observer: observers([...traces, metrics]) };
}
