import { expect, it } from "vitest";
import { Pacer } from "../../src/datasets/job-pace.ts";
import { TestClock } from "../support/test-clock.ts";

const free = { rowsPerSecond: null, latencyGuard: null, problemLimit: 0 };

it("divides the rows a second among the workers, and lets a worker that fell behind catch up on a second", () => {
  const clock = new TestClock();
  const pacer = new Pacer(clock);
  const pace = { ...free, rowsPerSecond: 100 };
  expect(pacer.delayAfter(50, [], pace, 1)).toBeCloseTo(500);
  clock.advance(500);
  expect(pacer.delayAfter(50, [], pace, 4)).toBeCloseTo(2000);
  clock.advance(60_000);
  expect(pacer.delayAfter(100, [], pace, 1)).toBeCloseTo(0);
  expect(pacer.delayAfter(100, [], pace, 1)).toBeCloseTo(1000);
  expect([
    pacer.pageRows(500, pace, 1),
    pacer.pageRows(500, pace, 4),
    pacer.pageRows(500, pace, 1000),
    pacer.pageRows(500, free, 4),
  ]).toEqual([100, 25, 1, 500]);
});

it("rests longer and longer while the database is slower than its best, and ever less once it is not", () => {
  const pacer = new Pacer(new TestClock());
  const pace = { ...free, latencyGuard: 2 };
  const pages = (count: number, took: number): number[] =>
    Array.from({ length: count }, () => pacer.delayAfter(100, [{ kind: "write", rows: 100, took }], pace, 1));
  expect(new Set(pages(20, 10))).toEqual(new Set([0]));
  expect(new Set(pages(20, 19))).toEqual(new Set([0]));
  const slow = pages(20, 50);
  expect(slow.slice(0, 3)).toEqual([0, 0, 0]);
  expect(slow.at(-1)).toBe(2000);
  expect([...slow].sort((a, b) => a - b)).toEqual(slow);
  const quick = pages(30, 10);
  expect(quick.at(-1)).toBe(0);
  expect(Math.max(...quick)).toBe(2000);
  expect(new Set(Array.from({ length: 20 }, () => pacer.delayAfter(100, [{ kind: "write", rows: 100, took: 50 }], free, 1)))).toEqual(
    new Set([0]),
  );
});

it("does not take pages with something to write for slow after pages that had nothing", () => {
  const pacer = new Pacer(new TestClock());
  const pace = { ...free, latencyGuard: 2 };
  const page = (written: number, slow = 1): number =>
    pacer.delayAfter(
      500,
      [
        { kind: "read", rows: 500, took: 2 * slow },
        { kind: "write", rows: written, took: (3 + written / 10) * slow },
      ],
      pace,
      1,
    );
  const sizes = [0, 500, 0, 1, 0, 20, 500, 250, 3];
  for (const size of sizes) for (let count = 0; count < 30; count += 1) expect([size, page(size)]).toEqual([size, 0]);
  const slow = Array.from({ length: 20 }, () => page(500, 5));
  expect(slow.at(-1)).toBe(2000);
  expect(Array.from({ length: 30 }, () => page(0)).at(-1)).toBe(0);
});
