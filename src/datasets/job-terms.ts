import { z } from "zod";
import { KeysteadError } from "../errors.ts";
import type { RunOptions } from "./job-options.ts";
import type { JobWork } from "./job-work.ts";
import type { JobKind } from "./row-tasks.ts";

const termsSchema = z.strictObject({
  dryRun: z.boolean(),
  leaveUnopened: z.boolean(),
  from: z.string().exactOptional(),
  columns: z.array(z.string()).readonly().exactOptional(),
});

/** What a job is to do, beside its kind: all its workers agree on it, and it stays the same when the job is resumed. */
type JobConditions = Readonly<z.infer<typeof termsSchema>>;

/** What all workers of a job agree on. */
export interface JobTerms {
  readonly kind: JobKind;
  /** Nothing is stored in the table. Nobody else joins such a job, and nothing goes on from where it stood. */
  readonly dryRun: boolean;
  /** As it is stored, and compared. */
  readonly text: string;
}

/** The terms of a job that is run with these options. */
export function termsOf(kind: JobKind, { dryRun = false, leaveUnopened = false, from, columns }: RunOptions): JobTerms {
  const conditions: JobConditions = {
    dryRun,
    leaveUnopened,
    ...(from !== undefined && { from }),
    ...(columns !== undefined && { columns: [...new Set(columns)].sort() }),
  };
  return { kind, dryRun, text: JSON.stringify(conditions) };
}

/** The options that make the terms of a stored job. */
export function conditionsOf({ terms }: Pick<JobWork, "terms">): JobConditions {
  const { data, error } = termsSchema.safeParse(parseJson(terms));
  if (data !== undefined) return data;
  throw new KeysteadError("CONFLICT", "the job was begun by another version of Keystead: cancel it, then begin another", { cause: error });
}

/** True for a job that stores nothing in the table. */
export function isDryRun({ terms }: Pick<JobWork, "terms">): boolean {
  return termsSchema.safeParse(parseJson(terms)).data?.dryRun === true;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
