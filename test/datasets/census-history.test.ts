import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keepCensus, readZeroSince, versionName } from "../../src/datasets/census-history.ts";
import { openMemoryStore } from "../../src/store/memory/memory-store.ts";
import type { StoreTables } from "../../src/store/store.ts";
import { metadataKey, newIdentity, noRows } from "../store/places.ts";
import { day } from "../support/test-clock.ts";
import { createCrm, personDataset } from "./support/crm.ts";

const datasets = ["one", "two"] as const;
const versions = ["1-aaaaaa", "2-bbbbbb", "3-cccccc"] as const;
/** One that is not made yet. */
const future = "4-dddddd";

interface Taken {
  readonly dataset: (typeof datasets)[number];
  readonly takenAt: number;
  readonly held: readonly (typeof versions)[number][];
}

/** A census of the one dataset or the other, and how far the clock moved since the one before. */
function takenWith(moves: fc.Arbitrary<number>): fc.Arbitrary<{ readonly census: Omit<Taken, "takenAt">; readonly move: number }> {
  const census = fc.record({ dataset: fc.constantFrom(...datasets), held: fc.subarray([...versions]) });
  return fc.record({ census, move: moves });
}

function countsOf({ held }: Taken): string {
  const counted = held.map((version) => ({ key: "pii", version, count: 3, standing: "old" }));
  return JSON.stringify([
    { column: "a", nulls: 0, plaintext: 1, versions: [...counted, { key: "fin", version: "1-aaaaaa", count: 1, standing: "current" }] },
    { column: "b", nulls: 0, plaintext: 0, versions: counted.slice(1) },
  ]);
}

/** What the gate must find with every census that was ever taken. */
function expectedZeroSince(all: readonly Taken[], version: string, now: number): number {
  const since = [...new Set(all.map(({ dataset }) => dataset))].map((dataset) => {
    const own = all.filter((taken) => taken.dataset === dataset);
    const holds = ({ held }: Taken): boolean => held.some((label) => label === version);
    const lastHeldAt = Math.max(...own.filter(holds).map(({ takenAt }) => takenAt));
    const zeros = own.filter((taken) => !holds(taken) && taken.takenAt >= lastHeldAt);
    return Math.min(now, ...zeros.map(({ takenAt }) => takenAt));
  });
  return Math.max(...since);
}

/** Takes one census after the other as a store does, and looks at all after each. */
async function takeAll(
  steps: readonly { readonly census: Omit<Taken, "takenAt">; readonly move: number }[],
  usable: readonly string[],
  look: (tables: StoreTables, all: readonly Taken[], now: number) => Promise<void>,
): Promise<void> {
  const store = await openMemoryStore();
  try {
    await store.create(newIdentity, metadataKey, noRows);
    const all: Taken[] = [];
    let now = 1000;
    for (const { census, move } of steps) {
      now += move;
      const taken = { ...census, takenAt: now };
      all.push(taken);
      const row = { id: `census ${String(all.length)}`, datasetId: taken.dataset, takenAt: now, counts: countsOf(taken) };
      const names = usable.map((label) => versionName("pii", label));
      await store.transaction((tables) => keepCensus(tables, row, names));
      await store.read((tables) => look(tables, all, now));
    }
    expect(await store.verify()).toEqual([]);
  } finally {
    await store.close();
  }
}

describe("the censuses that are kept", () => {
  it("prove the same as all that were taken, and are bounded by the versions, not by how often was counted", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(takenWith(fc.nat(3)), { minLength: 1, maxLength: 25 }),
        fc.subarray([...versions], { minLength: 1 }),
        async (steps, usable) => {
          await takeAll(steps, usable, async (tables, all, now) => {
            for (const version of [...usable, future]) {
              const found = await readZeroSince(tables, versionName("pii", version), now);
              expect(found, version).toBe(expectedZeroSince(all, version, now));
            }
            for (const dataset of datasets) {
              const kept = await tables.censuses.list({ datasetId: dataset });
              expect(kept.length).toBeLessThanOrEqual(2 + 2 * usable.length);
            }
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  it("never prove more than all that were taken when the clock was put back", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(takenWith(fc.integer({ min: -5, max: 5 })), { minLength: 1, maxLength: 25 }), async (steps) => {
        await takeAll(steps, versions, async (tables, all, now) => {
          for (const version of [...versions, future]) {
            const found = await readZeroSince(tables, versionName("pii", version), now);
            expect(found, version).toBeGreaterThanOrEqual(expectedZeroSince(all, version, now));
          }
          expect((await tables.censuses.list()).length).toBeLessThanOrEqual(datasets.length * (2 + 2 * versions.length));
        });
      }),
      { numRuns: 60 },
    );
  });

  it("let a version die on the day on which all of them would, after hundreds were taken", async () => {
    const { keystead, clock, database } = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name)");
    database.exec("INSERT INTO person VALUES (1, 'Anna')");
    await keystead.settings.set("backupRetentionDays", 30);
    await keystead.datasets.add("crm.person", personDataset({ name: "pii" }));
    await keystead.datasets.protect("crm.person");
    await keystead.keys.rotate("pii");
    for (let count = 0; count < 40; count += 1) {
      clock.advance(day / 4);
      await keystead.datasets.takeCensus("crm.person");
    }
    clock.advance(day / 4);
    await keystead.datasets.reencrypt("crm.person");
    const zeroAt = clock.now();
    await keystead.keys.destroy("pii", 1);
    for (let count = 0; count < 119; count += 1) {
      clock.advance(day / 4);
      await keystead.datasets.takeCensus("crm.person");
    }
    await expect(keystead.keys.destroy("pii", 1)).rejects.toThrow(`last seen ${new Date(zeroAt).toISOString()}`);
    clock.advance(day / 4);
    const destroyed = await keystead.keys.destroy("pii", 1);
    if (destroyed.status !== "destroyed") throw new Error("not destroyed");
    expect(JSON.parse(destroyed.certificate.statement)).toMatchObject({ evidence: { zeroSince: new Date(zeroAt).toISOString() } });
  });
});
