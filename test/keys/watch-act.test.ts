import { describe, expect, it } from "vitest";
import { KeysteadError } from "../../src/errors.ts";
import { watchAct } from "../../src/keys/watch-act.ts";
import { type Observer, observers } from "../../src/observer.ts";
import { TestClock } from "../support/test-clock.ts";

function listener(heard: string[]): Observer {
  return observers([
    {
      act: (_action, work) => {
        heard.push("begins");
        return work();
      },
      actEnded: (action, outcome, milliseconds) => heard.push(`${action} ${outcome} ${String(milliseconds)}`),
    },
  ]);
}

describe("an act that is watched", () => {
  it.each([
    ["allowed", undefined],
    ["denied", new KeysteadError("ACCESS_DENIED", "no")],
    ["denied", new KeysteadError("APPROVAL_REQUIRED", "ask")],
    ["failed", new KeysteadError("KEY_STATE", "no")],
    ["failed", new Error("broken")],
  ] as const)("is told as %s once it ended", async (outcome, error) => {
    const heard: string[] = [];
    const clock = new TestClock();
    const act = watchAct({ observer: listener(heard), clock }, "keys.list", async () => {
      clock.advance(20);
      if (error !== undefined) throw error;
    });
    expect(await act.catch((failure: unknown) => failure)).toBe(error);
    expect(heard).toEqual(["begins", `keys.list ${outcome} 20`]);
  });

  it("is told as what its result says", async () => {
    const heard: string[] = [];
    const watched = { observer: listener(heard), clock: new TestClock() };
    expect(
      await watchAct(
        watched,
        "data.encrypt",
        async () => 1,
        () => "denied",
      ),
    ).toBe(1);
    expect(heard.at(-1)).toBe("data.encrypt denied 0");
  });
});
