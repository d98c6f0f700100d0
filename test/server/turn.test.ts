import { describe, expect, it } from "vitest";
import { Turn } from "../../src/server/turn.ts";

describe("a turn of the event loop", () => {
  it("ends for all who wait in it at once, and for those of the next turn later", async () => {
    const turn = new Turn();
    const ended: string[] = [];
    const note = async (name: string): Promise<void> => {
      await turn.end();
      ended.push(name);
    };
    const first = [note("a"), note("b")];
    for (let step = 0; step < 10; step++) await Promise.resolve();
    expect(ended).toEqual([]);
    let next: Promise<void> | undefined;
    const chained = turn.end().then(() => {
      next = note("c");
    });
    await Promise.all([...first, chained]);
    expect(ended).toEqual(["a", "b"]);
    await next;
    expect(ended).toEqual(["a", "b", "c"]);
  });
});
