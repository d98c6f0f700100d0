import { Counter, Gauge, Registry } from "prom-client";
import { KeysteadError } from "../errors.ts";
import { Durations } from "./durations.ts";
import { type MetricDefinition, metricDefinitions, type MetricName } from "./definitions.ts";

/** Names of the metrics of one type. */
export type NameOf<T extends MetricDefinition["type"]> = {
  [N in MetricName]: (typeof metricDefinitions)[N]["type"] extends T ? N : never;
}[MetricName];

/** Every metric of the table, in a registry of its own. */
export class Instruments {
  readonly registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, Durations>();

  constructor() {
    const registers = [this.registry];
    const definitions: Readonly<Record<string, MetricDefinition>> = metricDefinitions;
    for (const [name, { type, help, labels, adding = "sum", buckets = [] }] of Object.entries(definitions)) {
      const common = { name, help, labelNames: [...labels], registers };
      if (type === "counter") this.#counters.set(name, new Counter(common));
      else if (type === "gauge") this.#gauges.set(name, new Gauge({ ...common, aggregator: adding }));
      else this.#histograms.set(name, new Durations({ name, help, buckets }));
    }
  }

  counter(name: NameOf<"counter">): Counter {
    return made(this.#counters, name);
  }

  gauge(name: NameOf<"gauge">): Gauge {
    return made(this.#gauges, name);
  }

  histogram(name: NameOf<"histogram">): Durations {
    return made(this.#histograms, name);
  }

  /** All values as JSON of prom-client. */
  async read(): Promise<object[]> {
    return [...(await this.registry.getMetricsAsJSON()), ...[...this.#histograms.values()].map((durations) => durations.read())];
  }
}

function made<T>(metrics: ReadonlyMap<string, T>, name: string): T {
  const metric = metrics.get(name);
  if (metric === undefined) throw new KeysteadError("INTERNAL", `the metric ${name} is not in the table`);
  return metric;
}
