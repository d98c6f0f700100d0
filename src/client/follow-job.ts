import type { KeysteadApi } from "../api/keystead-api.ts";
import { KeysteadError } from "../errors.ts";
import type { HttpCalls } from "./http-calls.ts";
import { JobPause } from "./job-pause.ts";
import { JobSightings } from "./job-sightings.ts";

type Result = Awaited<ReturnType<KeysteadApi["datasets"]["protect"]>>;
type Start = KeysteadApi["backgroundJobs"]["start"];
type Order = Parameters<Start>[1];
type Job = Awaited<ReturnType<KeysteadApi["jobs"]["show"]>>;

/** What is told of a job that is followed from here, beside what the server is told. */
interface Listening {
  readonly onProgress?: (progress: Job["progress"]) => void;
  readonly onProblems?: (problems: Job["progress"]["firstProblems"]) => void;
  readonly signal?: AbortSignal;
}

/** How often, and how many milliseconds apart, the next job of an order is looked for. */
const mostLooks = 120;
const lookMilliseconds = 250;

/**
 * Starts a job at a server and follows it to its end.
 * @param orderOf the order, of the options that the server is told
 * @param next kind of a further job to which the order goes on
 */
export type FollowJob = <T extends Listening>(
  dataset: string,
  options: T | undefined,
  orderOf: (apart: Omit<T, keyof Listening>) => Order,
  next?: Job["kind"],
) => Promise<Result>;

/**
 * Follows jobs as if they ran here: progress is told as the server tells it, the signal pauses the job, and the promise is settled when the
 * job has ended. When the connection is lost, or the token expires, the job goes on, and is followed again.
 * @param starter what starts jobs by calls of its own
 */
export function jobFollower(http: HttpCalls, starter: (calls: HttpCalls) => Start): FollowJob {
  return async (dataset, options, orderOf, next) => {
    const { onProgress, onProblems, signal } = { onProgress: undefined, onProblems: undefined, signal: undefined, ...options };
    const isStopped = (): boolean => signal?.aborted === true;
    if (isStopped()) throw new KeysteadError("CANCELLED", "the job was stopped before it began");
    // Whoever pauses the job has to know whether it began, also when the signal that pauses it is the one that stops the calls.
    const calls = signal === undefined ? http : http.unstopped;
    const pause = new JobPause(calls, dataset);
    const pauseIfStopped = ({ id }: Pick<Job, "id">): void => {
      if (isStopped()) pause.ask(id);
    };
    const started = await http.untilStopped(async () => {
      const job = await starter(calls)(dataset, orderOf(toldServer(options)));
      pauseIfStopped(job);
      return job;
    });
    let current = started.id;
    const onAbort = (): void => pause.ask(current);
    signal?.addEventListener("abort", onAbort, { once: true });
    const isOfOrder = ({ id, kind }: Pick<Job, "id" | "kind">): boolean => id === started.id || kind === next;
    let told = 0;
    let looks = 0;
    const tell = ({ progress }: Job): void => {
      onProgress?.(progress);
      if (progress.firstProblems.length > told) onProblems?.(progress.firstProblems.slice(told));
      told = progress.firstProblems.length;
    };
    const sightings = new JobSightings(http, dataset);
    try {
      for (;;) {
        for await (const { job, result } of sightings) {
          if (isOfOrder(job)) tell(job);
          // What comes after a job may be seen together with how it ended.
          if (result !== undefined && isOfOrder(result)) return result;
          if (!isOfOrder(job)) throw otherJob(dataset);
          current = job.id;
          if (job.state === "running") {
            // The request to pause it may have been lost.
            pauseIfStopped(job);
            continue;
          }
          if (!leadsOn(job, next)) return resultOf(job);
          // Another process of the server works on the order, and begins its next job.
          if (!isInStep(job) || ++looks === mostLooks) throw notReached(dataset, next);
          break;
        }
        await http.wait(lookMilliseconds);
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  };
}

/** True for a job that ended well and is not the last of its order. */
function leadsOn({ kind, state, dryRun }: Job, next: Job["kind"] | undefined): next is Job["kind"] {
  return next !== undefined && kind !== next && state === "done" && !dryRun;
}

/** True when a look found every row as the next job needs it. */
function isInStep({ progress: { problems, replaced } }: Job): boolean {
  return problems === 0 && replaced === 0;
}

function notReached(dataset: string, next: string | undefined): KeysteadError {
  return new KeysteadError(
    "JOB_INCOMPLETE",
    `the look at the rows of dataset ${dataset} has ended, and no ${next ?? "further"} job began; see what it found with \`keystead jobs show ${dataset}\`, then order it again`,
  );
}

function otherJob(dataset: string): KeysteadError {
  return new KeysteadError(
    "CONFLICT",
    `the job on dataset ${dataset} was followed by another one; look at both with \`keystead jobs list\``,
  );
}

/** What the server is told of a job. */
function toldServer<T extends Listening>(options: T | undefined): Omit<T, keyof Listening>;
function toldServer({ onProgress: _, onProblems: __, signal: ___, ...options }: Listening = {}): object {
  return options;
}

/** How a job ended that another process ran. */
function resultOf({ id, dataset, kind, state, dryRun, progress }: Job): Result {
  if (state === "running") throw new KeysteadError("INTERNAL", "a job that runs has no result");
  return { id, dataset, kind, state, dryRun, progress };
}
