import { describe, expect, it } from "vitest";
import type { Clock } from "../../src/clock.ts";
import { FairLock } from "../../src/store/sql/fair-lock.ts";
import { retryWhileBusy } from "../../src/store/sqlite/lock-wait.ts";

/** A clock that moves only by being waited on. */
function steppingClock(): Clock & { readonly waits: number[] } {
  let time = 0;
  const waits: number[] = [];
  return {
    waits,
    now: () => time,
    monotonic: () => time,
    wait: async (milliseconds) => {
      waits.push(milliseconds);
      time += milliseconds;
      await Promise.resolve();
    },
  };
}

const busy = Object.assign(new Error("busy"), { errcode: 5 });

describe("retryWhileBusy", () => {
  it("tries again at growing intervals until the lock is free", async () => {
    const clock = steppingClock();
    let left = 7;
    const attempt = (): string => {
      if (left-- > 0) throw busy;
      return "done";
    };
    expect(await retryWhileBusy(attempt, { clock, timeout: 1_000 })).toBe("done");
    expect(clock.waits).toEqual([1, 2, 4, 8, 10, 10, 10]);
  });

  it("gives up after the time-out, with the error itself", async () => {
    const clock = steppingClock();
    const attempt = (): never => {
      throw busy;
    };
    await expect(retryWhileBusy(attempt, { clock, timeout: 100 })).rejects.toBe(busy);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(100);
    expect(clock.monotonic()).toBeLessThan(120);
    await expect(retryWhileBusy(attempt, { clock, timeout: 0 })).rejects.toBe(busy);
  });

  it("does not try again after another error", async () => {
    const clock = steppingClock();
    const other = new Error("other");
    await expect(
      retryWhileBusy(
        () => {
          throw other;
        },
        { clock, timeout: 100 },
      ),
    ).rejects.toBe(other);
    expect(clock.waits).toEqual([]);
  });
});

describe("FairLock", () => {
  it("is passed on in order, also after failures and to those who come while it is released", async () => {
    const lock = new FairLock();
    const order: number[] = [];
    const late: Promise<void>[] = [];
    const use = async (n: number): Promise<void> =>
      await lock.run(async () => {
        await Promise.resolve();
        order.push(n);
        if (n === 1) throw new RangeError("deliberate");
        if (n === 2) late.push(use(5), use(6));
      });
    const results = await Promise.allSettled([1, 2, 3, 4].map(use));
    await Promise.all(late);
    expect(order).toEqual([1, 2, 3, 4, 5, 6]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled", "fulfilled"]);
  });

  it("is not taken by somebody who comes at the moment of its release, before those who waited", async () => {
    const lock = new FairLock();
    const order: string[] = [];
    await lock.acquire();
    const waiting = lock.run(async () => await Promise.resolve(order.push("waiting")));
    lock.release();
    const newcomer = lock.run(async () => await Promise.resolve(order.push("newcomer")));
    await Promise.all([waiting, newcomer]);
    expect(order).toEqual(["waiting", "newcomer"]);
  });
});
