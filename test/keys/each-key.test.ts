import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import type { Keystead } from "../../src/keystead.ts";
import { createTestKeystead } from "../support/test-keystead.ts";

const count = 220;

/** How often others get their turn while something is looked at. */
async function turnsDuring(look: () => Promise<unknown>): Promise<number> {
  const others = { turns: 0, go: true };
  const waiting = (async () => {
    while (others.go) {
      await nextTurn();
      others.turns += 1;
    }
  })();
  await look();
  others.go = false;
  await waiting;
  return others.turns;
}

const looks: readonly (readonly [string, (keystead: Keystead) => Promise<unknown>])[] = [
  ["list of keys", (keystead) => keystead.keys.list()],
  ["doctor", (keystead) => keystead.doctor.examine()],
];

it.each(looks)("the %s lets others go first, however many keys there are", async (_, look) => {
  const { keystead } = await createTestKeystead();
  const few = await turnsDuring(() => look(keystead));
  for (let number = 0; number < count; number += 1) await keystead.keys.create({ name: `k${String(number)}`, purpose: "pii" });
  expect(await turnsDuring(() => look(keystead))).toBeGreaterThan(few + 2);
});

it("keys are listed by their names, whatever pieces they are read in", async () => {
  const { keystead } = await createTestKeystead();
  for (let number = 0; number < 60; number += 1) await keystead.keys.create({ name: `k${String(number)}`, purpose: "pii" });
  const names = (await keystead.keys.list()).map(({ name }) => name);
  expect(names).toEqual([...names].sort());
  expect(new Set(names).size).toBe(61);
});
