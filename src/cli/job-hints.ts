import type { KeysteadApi } from "../api/keystead-api.ts";
import type { JobInfo } from "../index.ts";

/** What a command needs to begin a job of its kind, beside the dataset. */
const needs: Partial<Record<JobInfo["kind"], string>> = { import: " --from CODEC", recontext: " --context NAME=TEMPLATE" };

/** The command that runs jobs of a kind. */
export function commandOf(kind: JobInfo["kind"]): string {
  return kind === "import" ? "reencrypt" : kind;
}

/**
 * What to do about a job that is in the way of a command, or that has ended when a command of `jobs` wants it.
 * @param words what was given on the command line; one of them may be the dataset
 */
export async function jobHint(
  { jobs }: Pick<KeysteadApi, "jobs">,
  words: readonly string[],
  isJobCommand: boolean,
): Promise<string | undefined> {
  const job = (await jobs.list()).find(({ dataset }) => words.includes(dataset));
  if (job === undefined) return undefined;
  const { dataset, kind, state, workers } = job;
  if (state === "running" && workers.length > 0)
    return `\`keystead jobs list\` shows the job, \`keystead jobs pause ${dataset}\` or \`keystead jobs cancel ${dataset}\` stops it`;
  const isEnded = state === "done" || state === "cancelled";
  return isJobCommand && isEnded ? `\`keystead datasets ${commandOf(kind)} ${dataset}${needs[kind] ?? ""}\` begins another` : undefined;
}
