import { expect, it } from "vitest";
import { RateWindow } from "../../src/server/rate-window.ts";
import { TestClock } from "../support/test-clock.ts";

it("counts ten thousand keys, and forgets the one that began first for another", () => {
  const window = new RateWindow(1, new TestClock());
  for (let key = 0; key < 10_000; key++) expect(window.take(String(key)).within).toBe(true);
  expect(window.take("0").within).toBe(false);
  expect(window.take("one more").within).toBe(true);
  expect(window.take("1").within).toBe(false);
  expect(window.take("0").within).toBe(true);
});
