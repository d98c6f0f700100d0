import { describe, expect, it } from "vitest";
import { ChainWriter } from "../../src/audit/chain-writer.ts";
import type { LineGroup } from "../../src/audit/line-group.ts";
import { systemClock } from "../../src/clock.ts";
import { systemRandom } from "../../src/crypto/random.ts";

const origin = { store: "store", writer: "6f1d3c1e-0a2b-4c3d-8e4f-5a6b7c8d9e0f", process: 1, host: "host" };
const event = { action: "data.encrypt", outcome: "allowed", principal: { source: "token", id: "t" } } as const;

/** A writer whose writes end when the test says so. */
function newWriter(): { readonly record: (count?: number) => Promise<void>; readonly sizes: readonly number[]; readonly end: () => void } {
  const sizes: number[] = [];
  const ends: (() => void)[] = [];
  const append = ({ first, last }: LineGroup): Promise<undefined> => {
    sizes.push(last - first + 1);
    return new Promise((resolve) => ends.push(() => resolve(undefined)));
  };
  const writer = new ChainWriter({ origin, clock: systemClock, random: systemRandom, sink: { append } });
  const record = async (count = 1): Promise<void> => {
    await Promise.all(Array.from({ length: count }, () => writer.record(event)));
  };
  return { record, sizes, end: () => ends.shift()?.() };
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function microtasks(): Promise<void> {
  for (let step = 0; step < 20; step++) await Promise.resolve();
}

describe("a write of audit records", () => {
  it("waits for one turn of the event loop that brings nothing", async () => {
    const { record, sizes, end } = newWriter();
    const recorded = record();
    await turns(1);
    expect(sizes).toEqual([]);
    await turns(1);
    expect(sizes).toEqual([1]);
    end();
    await recorded;
  });

  it("takes what comes while it waits, and waits for five turns at most", async () => {
    const { record, sizes, end } = newWriter();
    const recorded: Promise<void>[] = [];
    for (let turn = 0; turn < 8; turn++) {
      recorded.push(record());
      await turns(1);
    }
    expect(sizes).toEqual([5]);
    end();
    await turns(3);
    expect(sizes).toEqual([5, 3]);
    end();
    await Promise.all(recorded);
  });

  it("begins at once with sixteen records, so that the disk works while further callers are served", async () => {
    const { record, sizes, end } = newWriter();
    const first = record(15);
    await microtasks();
    expect(sizes).toEqual([]);
    const last = record(1);
    await microtasks();
    expect(sizes).toEqual([16]);
    const meanwhile = record(40);
    await turns(3);
    expect(sizes).toEqual([16]);
    end();
    await Promise.all([first, last]);
    expect(sizes).toEqual([16, 40]);
    end();
    await meanwhile;
  });
});
