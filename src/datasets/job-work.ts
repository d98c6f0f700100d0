import { z } from "zod";
import { isLeased, leaseMilliseconds } from "./job-lease.ts";
import { addCounts, beginPass, initialProgress, progressSchema, type RowCounts } from "./job-progress.ts";
import type { Cursor } from "./source.ts";

/** Workers that one job may have at a time. */
export const mostWorkers = 64;

const workerSchema = z.object({
  id: z.string(),
  /** Names the process, see `job-lease.ts`. */
  owner: z.string(),
  leaseUntil: z.int(),
});

const rangeSchema = z.object({
  number: z.int(),
  /** Rows after this place are to do; null: from the first on. */
  after: z.string().nullable(),
  /** Up to this place; null: to the last. */
  until: z.string().nullable(),
  worker: z.string().nullable(),
});

const paceSchema = z.object({
  /** Rows a second, all workers together; null: as fast as it goes. */
  rowsPerSecond: z.int().nullable(),
  /** Rest while the database takes so many times as long as at its best; null: never. */
  latencyGuard: z.number().nullable(),
  /** Problems after which a run of the job stops. */
  problemLimit: z.int(),
});

const workSchema = z.object({
  /** What all its workers agree on, beside the kind. */
  terms: z.string(),
  pace: paceSchema,
  progress: progressSchema.readonly(),
  /** False once the pass replaced something or was interrupted. */
  idle: z.boolean(),
  /** Up to where the pass was handed out to workers. */
  frontier: z.string().nullable(),
  handedOut: z.boolean(),
  /** Handed out and not finished. */
  ranges: z.array(rangeSchema.readonly()).readonly(),
  nextRange: z.int(),
  workers: z.array(workerSchema.readonly()).readonly(),
  /** The worker that ends the pass, alone. */
  ending: z.string().nullable(),
  /** Which run of the job this is, when it or its last pass began, and from where it went on. */
  run: z.object({ number: z.int(), at: z.int(), pass: z.int(), scanned: z.int(), problems: z.int() }).readonly(),
});

/** One that works on a job. */
export type JobWorker = Readonly<z.infer<typeof workerSchema>>;

/** A piece of the table, in key order. */
export type JobRange = Readonly<z.infer<typeof rangeSchema>>;

/** How gently a job works. */
export type JobPace = Readonly<z.infer<typeof paceSchema>>;

/**
 * A job's work as it stands in the store: how far it is, and who does which part. A range is leased to a worker; one whose
 * worker is gone is taken over by another. Work on a range may be done twice, because a row is replaced only once.
 */
export type JobWork = Readonly<z.infer<typeof workSchema>>;

/** What a worker is to do next. */
export type JobTask =
  | { readonly task: "range"; readonly range: JobRange }
  | { readonly task: "hand-out"; readonly after: Cursor | null }
  | { readonly task: "end" }
  | { readonly task: "wait" };

/** Work that has not begun. */
export function beginWork(terms: string, pace: JobPace, now: number): JobWork {
  const progress = initialProgress;
  return {
    terms,
    pace,
    progress,
    idle: true,
    frontier: null,
    handedOut: false,
    ranges: [],
    nextRange: 1,
    workers: [],
    ending: null,
    run: { number: 1, at: now, pass: progress.pass, scanned: 0, problems: 0 },
  };
}

/** Work as it was stored; undefined when it is not what this version wrote. */
export function readWork(json: string): JobWork | undefined {
  try {
    return workSchema.parse(JSON.parse(json));
  } catch {
    return undefined;
  }
}

/**
 * Work to go on from, when nobody is at it any more: a worker that stood still for so long finds that this is another run. A pass that
 * had come to its end is made again, because nobody knows what happened since.
 */
export function resumeWork(work: JobWork, pace: JobPace, now: number): JobWork {
  const begun = work.frontier !== null || work.handedOut;
  const resumed = work.handedOut && work.ranges.length === 0 ? restartPass(work, now) : { ...work, idle: work.idle && !begun };
  const { pass, scanned, problems } = resumed.progress;
  return { ...resumed, pace, workers: [], ending: null, run: { number: work.run.number + 1, at: now, pass, scanned, problems } };
}

/** The pass is made again from the beginning of the table. */
export function restartPass(work: JobWork, now: number): JobWork {
  return passBegun(work, work.progress.pass, now);
}

/** The next pass. */
export function nextPass(work: JobWork, now: number): JobWork {
  return passBegun(work, work.progress.pass + 1, now);
}

function passBegun(work: JobWork, pass: number, now: number): JobWork {
  const run = { ...work.run, at: now, scanned: 0, problems: 0 };
  return { ...work, progress: beginPass(work.progress, pass), idle: true, frontier: null, handedOut: false, ranges: [], ending: null, run };
}

/** Those that still work. */
export function liveWorkers({ workers }: JobWork, now: number): JobWorker[] {
  return workers.filter(({ owner, leaseUntil }) => isLeased({ leaseOwner: owner, leaseUntil }, now));
}

/** A worker comes, or says that it is still there. Those that are gone are forgotten, and what they held is free. */
export function withWorker(work: JobWork, { id, owner }: Pick<JobWorker, "id" | "owner">, now: number): JobWork {
  const others = liveWorkers(work, now).filter((worker) => worker.id !== id);
  return withWorkers(work, [...others, { id, owner, leaseUntil: now + leaseMilliseconds }]);
}

/** A worker goes. */
export function withoutWorker(work: JobWork, id: string, now: number): JobWork {
  return withWorkers(
    work,
    liveWorkers(work, now).filter((worker) => worker.id !== id),
  );
}

function withWorkers(work: JobWork, workers: readonly JobWorker[]): JobWork {
  const ids = new Set(workers.map(({ id }) => id));
  const held = (id: string | null): string | null => (id !== null && ids.has(id) ? id : null);
  const ranges = work.ranges.map((range) => ({ ...range, worker: held(range.worker) }));
  // What a worker did that is gone may not have been told.
  const isTold = ranges.every(({ worker }, place) => worker === work.ranges[place]?.worker);
  return { ...work, workers, ranges, ending: held(work.ending), idle: work.idle && isTold };
}

/** What this worker is to do: an abandoned range before a new one. */
export function taskOf(work: JobWork, worker: string): JobTask {
  const free = work.ranges.find((range) => range.worker === null || range.worker === worker);
  if (free !== undefined) return { task: "range", range: { ...free, worker } };
  if (!work.handedOut) return { task: "hand-out", after: work.frontier };
  if (work.ranges.length > 0 || (work.ending !== null && work.ending !== worker)) return { task: "wait" };
  return { task: "end" };
}

/** A worker takes a range that nobody has. */
export function takeRange(work: JobWork, taken: JobRange): JobWork {
  return { ...work, ranges: work.ranges.map((range) => (range.number === taken.number ? taken : range)) };
}

/** The piece of the table up to a place becomes a range. The last one has no end, so that rows that come are in it. */
export function handOut(work: JobWork, until: Cursor | undefined): JobWork {
  const range = { number: work.nextRange, after: work.frontier, until: until ?? null, worker: null };
  return {
    ...work,
    ranges: [...work.ranges, range],
    nextRange: range.number + 1,
    frontier: until ?? work.frontier,
    handedOut: until === undefined,
  };
}

/** Up to where a worker came in its range; null: it did all of it. */
export function moveRange(work: JobWork, number: number, to: Cursor | null): JobWork {
  const ranges = work.ranges.flatMap((range) => (range.number !== number ? [range] : to === null ? [] : [{ ...range, after: to }]));
  return { ...work, ranges };
}

/** What became of rows of a range. */
export function withCounts(work: JobWork, counts: RowCounts): JobWork {
  return { ...work, progress: addCounts(work.progress, counts), idle: work.idle && counts.replaced === 0 };
}

/** What was replaced in a range that is another worker's by now, or of a pass that is over: that worker counts the rest. */
export function withReplaced(work: JobWork, { replaced, values }: RowCounts): JobWork {
  const progress = { ...work.progress, replaced: work.progress.replaced + replaced, values: work.progress.values + values };
  return { ...work, progress, idle: work.idle && replaced === 0 };
}

/** True once a run met more problems than it may. */
export function exceedsProblems({ progress, run, pace }: JobWork): boolean {
  return progress.problems - run.problems > pace.problemLimit;
}
