import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { leaseMilliseconds } from "../../src/datasets/job-lease.ts";
import { noCounts } from "../../src/datasets/job-progress.ts";
import {
  beginWork,
  handOut,
  type JobPace,
  type JobRange,
  type JobWork,
  moveRange,
  readWork,
  resumeWork,
  takeRange,
  taskOf,
  withCounts,
  withoutWorker,
  withWorker,
} from "../../src/datasets/job-work.ts";

const pace: JobPace = { rowsPerSecond: null, latencyGuard: null, problemLimit: 10 };
/** Somebody elsewhere, of whom only the lease tells. */
const owner = JSON.stringify({ host: "elsewhere", process: 1, start: "then/1" });

/** A table whose rows are 1, 2 … and whose cursors are their numbers. */
class Model {
  readonly rows: number;
  work: JobWork = beginWork("{}", pace, 0);
  now = 0;
  readonly done = new Set<number>();
  readonly holding = new Map<string, JobRange>();
  ended = false;

  constructor(rows: number) {
    this.rows = rows;
  }

  /** A worker asks what to do, and does it to the end of what it was given, or a part of it. */
  step(worker: string, size: number, act: "part" | "finish" | "die" | "leave"): void {
    this.#change((work) => withWorker(work, { id: worker, owner }, this.now));
    let task = taskOf(this.work, worker);
    if (task.task === "hand-out") {
      const until = Number(task.after ?? 0) + size;
      this.#change((work) => handOut(work, until > this.rows ? undefined : String(until)));
      task = taskOf(this.work, worker);
    }
    if (task.task === "end") {
      this.ended = true;
      return;
    }
    if (task.task !== "range") return;
    const { range } = task;
    this.#change((work) => takeRange(work, range));
    const holders = this.work.ranges.map(({ number }) => number);
    expect(new Set(holders).size).toBe(holders.length);
    if (act === "die") return;
    const first = Number(range.after ?? 0) + 1;
    const last = range.until === null ? this.rows : Number(range.until);
    const to = act === "finish" ? last : Math.min(last, first);
    for (let row = first; row <= to; row += 1) this.done.add(row);
    this.#change((work) => {
      const counted = withCounts(work, { ...noCounts, scanned: Math.max(0, to - first + 1) });
      return moveRange(counted, range.number, to === last ? null : String(to));
    });
    if (act === "leave") this.#change((work) => withoutWorker(work, worker, this.now));
  }

  #change(change: (work: JobWork) => JobWork): void {
    const changed = readWork(JSON.stringify(change(this.work)));
    expect(changed).toBeDefined();
    this.work = changed ?? this.work;
  }
}

describe("the work of a job", () => {
  it("is all done when its end is announced, whoever comes, goes and dies", () => {
    const steps = fc.array(
      fc.record({
        worker: fc.constantFrom("a", "b", "c", "d"),
        size: fc.integer({ min: 1, max: 9 }),
        act: fc.constantFrom("part" as const, "finish" as const, "finish" as const, "die" as const, "leave" as const),
        pass: fc.constantFrom(0, 0, 1_000, leaseMilliseconds + 1),
        resume: fc.integer({ min: 0, max: 30 }).map((number) => number === 0),
      }),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), steps, (rows, acts) => {
        const model = new Model(rows);
        for (const { worker, size, act, pass, resume } of acts) {
          model.now += pass;
          if (resume) model.work = resumeWork(model.work, pace, model.now);
          model.step(worker, size, act);
          if (model.ended) break;
        }
        for (let rounds = 0; !model.ended && rounds < 200; rounds += 1) {
          model.now += leaseMilliseconds + 1;
          model.step("z", 5, "finish");
        }
        expect(model.ended).toBe(true);
        expect(model.done.size).toBe(rows);
      }),
      { numRuns: 500 },
    );
  });

  it("gives a range to one worker at a time, and that of a worker that is gone to the next", () => {
    let work = withWorker(withWorker(beginWork("{}", pace, 0), { id: "a", owner }, 0), { id: "b", owner }, 0);
    work = handOut(handOut(work, "10"), undefined);
    const first = taskOf(work, "a");
    if (first.task !== "range") expect.unreachable();
    work = takeRange(work, first.range);
    const second = taskOf(work, "b");
    expect(second).toMatchObject({ task: "range", range: { number: 2, after: "10", until: null } });
    if (second.task !== "range") expect.unreachable();
    work = moveRange(takeRange(work, second.range), 2, null);
    expect(taskOf(work, "b")).toEqual({ task: "wait" });
    expect(taskOf(withWorker(work, { id: "b", owner }, leaseMilliseconds), "b")).toMatchObject({
      task: "range",
      range: { number: 1, worker: "b" },
    });
    expect(taskOf(moveRange(work, 1, null), "b")).toEqual({ task: "end" });
  });

  it("gives a worker its own range again that it did not finish, instead of letting it wait for itself", () => {
    let work = handOut(withWorker(beginWork("{}", pace, 0), { id: "a", owner }, 0), undefined);
    const task = taskOf(work, "a");
    if (task.task !== "range") expect.unreachable();
    work = takeRange(work, task.range);
    expect(taskOf(work, "a")).toEqual(task);
  });

  it("lets one worker alone end a pass", () => {
    let work = withWorker(withWorker(beginWork("{}", pace, 0), { id: "a", owner }, 0), { id: "b", owner }, 0);
    work = { ...handOut(work, undefined), ranges: [], ending: "a" };
    expect([taskOf(work, "a"), taskOf(work, "b")]).toEqual([{ task: "end" }, { task: "wait" }]);
    expect(taskOf(withoutWorker(work, "a", 0), "b")).toEqual({ task: "end" });
  });

  it.each(["", "{}", "[]", "null", '{"terms":1}'])("is not read from %j", (json) => {
    expect(readWork(json)).toBeUndefined();
  });
});
