import { describe, expect, it } from "vitest";
import { DemoClock } from "../../src/cli/tour/demo-clock.ts";
import { ManualClock } from "./support/manual-clock.ts";

const day = 86_400_000;

describe("the demo clock", () => {
  it("runs with the real one, as far behind as it was started", () => {
    const real = new ManualClock();
    const clock = new DemoClock({ daysBehind: 7, real });
    expect(clock.now()).toBe(real.time - 7 * day);
    real.time += 5_000;
    expect(clock.now()).toBe(real.time - 7 * day);
    expect(clock.monotonic()).toBe(real.monotonic());
  });

  it("jumps on both of its clocks when somebody waits, and lets nobody wait", async () => {
    const real = new ManualClock();
    const clock = new DemoClock({ real });
    await clock.wait(1_500);
    expect(clock.now()).toBe(real.time + 1_500);
    expect(clock.monotonic()).toBe(real.monotonic() + 1_500);
    expect(real.waits).toEqual([]);
  });

  it("advances by days", () => {
    const real = new ManualClock();
    const clock = new DemoClock({ daysBehind: 7, real });
    clock.advance(7);
    expect(clock.now()).toBe(real.time);
    expect(clock.monotonic()).toBe(real.monotonic() + 7 * day);
  });

  it("never goes back", async () => {
    const real = new ManualClock();
    const clock = new DemoClock({ real });
    await clock.wait(-100);
    clock.advance(-1);
    expect(clock.now()).toBe(real.time);
  });

  it("leaves timers that can be aborted to the real clock", async () => {
    const real = new ManualClock();
    const clock = new DemoClock({ real });
    await clock.wait(250, new AbortController().signal);
    expect(real.waits).toEqual([250]);
    expect(clock.now()).toBe(real.time);
    await expect(clock.wait(250, AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
  });

  it("takes real time when nothing else is given", () => {
    expect(Math.abs(new DemoClock().now() - Date.now())).toBeLessThan(1_000);
  });
});
