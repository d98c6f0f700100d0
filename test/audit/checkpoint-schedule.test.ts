import { describe, expect, it } from "vitest";
import { CheckpointSchedule } from "../../src/audit/checkpoint-schedule.ts";
import { ManualClock, until } from "./support/manual-clock.ts";

/** A task that a test ends by hand. */
function newTask(): { run: () => Promise<void>; starts: () => number; end: (error?: Error) => void } {
  let starts = 0;
  let current = Promise.withResolvers<undefined>();
  return {
    run: async () => {
      starts++;
      current = Promise.withResolvers();
      await current.promise;
    },
    starts: () => starts,
    end: (error) => (error === undefined ? current.resolve(undefined) : current.reject(error)),
  };
}

function newSchedule(): { clock: ManualClock; task: ReturnType<typeof newTask>; schedule: CheckpointSchedule } {
  const clock = new ManualClock();
  const task = newTask();
  return { clock, task, schedule: new CheckpointSchedule(clock, task.run) };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("CheckpointSchedule", () => {
  it("runs once, a second after the first record", async () => {
    const { clock, task, schedule } = newSchedule();
    schedule.note();
    clock.advance(500);
    schedule.note();
    clock.advance(499);
    await turns();
    expect(task.starts()).toBe(0);
    clock.advance(1);
    await until(() => task.starts() === 1);
    task.end();
    await turns();
    expect(clock.waiting).toBe(0);
    clock.advance(10_000);
    await turns();
    expect(task.starts()).toBe(1);
  });

  it("runs at once after 1,000 records, and counts anew", async () => {
    const { clock, task, schedule } = newSchedule();
    for (let record = 0; record < 999; record++) schedule.note();
    await turns();
    expect(task.starts()).toBe(0);
    schedule.note();
    expect(task.starts()).toBe(1);
    task.end();
    await turns();
    expect(clock.waiting).toBe(0);
    for (let record = 0; record < 999; record++) schedule.note();
    await turns();
    expect(task.starts()).toBe(1);
  });

  it("runs twice a second at most, however many records come", async () => {
    const { clock, task, schedule } = newSchedule();
    const noteMany = (): void => {
      for (let record = 0; record < 5000; record++) schedule.note();
    };
    noteMany();
    expect(task.starts()).toBe(1);
    task.end();
    await turns();
    clock.advance(100);
    noteMany();
    await turns();
    expect(task.starts()).toBe(1);
    clock.advance(399);
    await turns();
    expect(task.starts()).toBe(1);
    clock.advance(1);
    await until(() => task.starts() === 2);
    task.end();
    await turns();
    expect(clock.waiting).toBe(0);
  });

  it("never runs twice at once, and runs again at the end when it came due meanwhile", async () => {
    const { clock, task, schedule } = newSchedule();
    for (let record = 0; record < 1000; record++) schedule.note();
    schedule.note();
    clock.advance(1000);
    for (let record = 0; record < 1000; record++) schedule.note();
    await turns();
    expect(task.starts()).toBe(1);
    task.end();
    await until(() => task.starts() === 2);
    task.end();
    await turns();
    expect([task.starts(), clock.waiting]).toEqual([2, 0]);
  });

  it("waits a second for what came in while it ran", async () => {
    const { clock, task, schedule } = newSchedule();
    for (let record = 0; record < 1000; record++) schedule.note();
    schedule.note();
    task.end();
    await turns();
    expect([task.starts(), clock.waiting]).toEqual([1, 1]);
    clock.advance(1000);
    await until(() => task.starts() === 2);
    task.end();
  });

  it("tries again a second after a failure, and tells of it meanwhile", async () => {
    const { clock, task, schedule } = newSchedule();
    schedule.note();
    clock.advance(1000);
    await until(() => task.starts() === 1);
    const failure = new Error("store busy");
    task.end(failure);
    await until(() => schedule.problem === failure);
    clock.advance(1000);
    await until(() => task.starts() === 2);
    task.end();
    await until(() => schedule.problem === undefined);
    expect(clock.waiting).toBe(0);
  });

  it("flushes after a running task, one flush after the other, and says what went wrong", async () => {
    const { task, schedule } = newSchedule();
    const first = schedule.flush();
    const second = schedule.flush();
    expect(task.starts()).toBe(1);
    const failure = new Error("store busy");
    task.end(failure);
    await expect(first).rejects.toBe(failure);
    await until(() => task.starts() === 2);
    task.end();
    await second;
  });

  it("does nothing more once stopped", async () => {
    const { clock, task, schedule } = newSchedule();
    schedule.note();
    for (let record = 0; record < 1000; record++) schedule.note();
    schedule.note();
    const stopped = schedule.stop();
    task.end(new Error("store busy"));
    await stopped;
    schedule.note();
    expect(clock.waiting).toBe(0);
    clock.advance(10_000);
    await turns();
    expect(task.starts()).toBe(1);
  });
});
