/** What a histogram is called, and its buckets' upper bounds in seconds, ascending. */
export interface DurationsOptions {
  readonly name: string;
  readonly help: string;
  readonly buckets: readonly number[];
}

/** Durations with the same labels. */
export class DurationSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly #bounds: readonly number[];
  /** By bucket, those above all bounds last. */
  readonly #counts: number[];
  #sum = 0;

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(seconds: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && seconds > (this.#bounds[bucket] ?? 0)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += seconds;
  }

  /** How many were within each bound, the last of which is infinite, and their sum. */
  read(): { readonly within: readonly number[]; readonly sum: number } {
    let count = 0;
    return { within: this.#counts.map((more) => (count += more)), sum: this.#sum };
  }
}

/**
 * A histogram in the form of prom-client, which is observed for every call of a server: a series is looked up once, and then counts for
 * next to nothing, where prom-client would write and hash its labels each time.
 */
export class Durations {
  readonly #options: DurationsOptions;
  readonly #series = new Map<string, DurationSeries>();

  constructor(options: DurationsOptions) {
    this.#options = options;
  }

  /** The series with these labels, always the same; labels come in the same order each time. */
  series(labels: Readonly<Record<string, string>>): DurationSeries {
    const name = Object.values(labels).join("\n");
    const series = this.#series.get(name) ?? new DurationSeries(labels, this.#options.buckets);
    this.#series.set(name, series);
    return series;
  }

  /** All series as prom-client gives a histogram as JSON. */
  read(): object {
    const { name, help, buckets } = this.#options;
    const values = [...this.#series.values()].flatMap((series) => {
      const { labels } = series;
      const { within, sum } = series.read();
      const bounds = [...buckets, "+Inf"];
      return [
        ...within.map((value, index) => ({ value, labels: { le: bounds[index] ?? "+Inf", ...labels }, metricName: `${name}_bucket` })),
        { value: sum, labels, metricName: `${name}_sum` },
        { value: within.at(-1) ?? 0, labels, metricName: `${name}_count` },
      ];
    });
    return { name, help, type: "histogram", values, aggregator: "sum" };
  }
}
