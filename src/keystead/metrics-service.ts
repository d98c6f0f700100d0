import { KeysteadError } from "../errors.ts";
import { asked } from "../keys/audited.ts";
import type { Engine } from "../keys/engine.ts";
import type { MetricsCollector } from "../observer.ts";

/** What this process counts, for the people who run it. */
export class MetricsService {
  readonly #engine: Engine;
  readonly #metrics: MetricsCollector | undefined;

  constructor(engine: Engine, metrics: MetricsCollector | undefined) {
    this.#engine = engine;
    this.#metrics = metrics;
  }

  /**
   * All metrics in Prometheus' text format: those of every process of the server where there are several.
   * @throws KeysteadError `ACCESS_DENIED`; `NOT_FOUND` where nothing is counted
   */
  read(): Promise<string> {
    return asked(this.#engine, { action: "metrics.read", terms: {} }, async () => {
      if (this.#metrics === undefined)
        throw new KeysteadError(
          "NOT_FOUND",
          "this process counts nothing; ask a server (`keystead serve`), or open the engine with `metrics`",
        );
      return this.#metrics.read();
    });
  }
}
