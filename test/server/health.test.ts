import { expect, it } from "vitest";
import { Health } from "../../src/server/health.ts";
import { TestClock } from "../support/test-clock.ts";

it("is looked at once a second, whoever asks how often, and is over when the server ends", async () => {
  const clock = new TestClock();
  let looks = 0;
  const health = new Health(async () => {
    looks++;
    return [{ check: "store", ready: true }];
  }, clock);
  for (let ask = 0; ask < 100; ask++) await health.look();
  expect(looks).toBe(1);
  clock.advance(1_001);
  await Promise.all([health.look(), health.look()]);
  expect(looks).toBe(2);
  health.end();
  expect(await health.look()).toEqual([{ check: "server", ready: false, cause: "it is ending" }]);
});
