import fc from "fast-check";
import { Histogram, Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { Durations } from "../../src/metrics/durations.ts";

const buckets = [0.001, 0.01, 0.1];
const labels = fc.record({ action: fc.constantFrom("a", "b"), outcome: fc.constantFrom("x", "y") });
const seconds = fc.oneof(fc.constantFrom(0, ...buckets), fc.double({ min: 0, max: 1, noNaN: true }));

describe("durations", () => {
  it("are what prom-client makes of them", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(labels, seconds)), async (observed) => {
        const own = new Durations({ name: "d", help: "h", buckets });
        const theirs = new Histogram({ name: "d", help: "h", buckets, labelNames: ["action", "outcome"], registers: [] });
        for (const [of, value] of observed) {
          own.series({ action: of.action, outcome: of.outcome }).observe(value);
          theirs.observe(of, value);
        }
        expect(await textOf(own.read())).toEqual(await textOf(await theirs.get()));
      }),
    );
  });
});

/** Lines as they are scraped, in any order. */
async function textOf(metric: object): Promise<string[]> {
  const registry = new Registry();
  const aggregated = { ...metric, get: async () => metric };
  Reflect.apply(Reflect.get(registry, "registerMetric"), registry, [Object.assign(aggregated, { name: "d" })]);
  return (await registry.metrics()).split("\n").toSorted();
}
