import { z } from "zod";
import { identifyProcess, processStatus } from "../process-identity.ts";
import type { StoredRecord } from "../store/tables.ts";

/** Milliseconds for which a job is claimed; renewed all the while it runs. */
export const leaseMilliseconds = 30_000;

const ownerSchema = z.object({
  host: z.string(),
  process: z.int(),
  start: z.string().optional(),
  namespace: z.string().optional(),
});

/** Who works on a job. */
export interface JobWorkerInfo {
  readonly host: string;
  /** Process number there. */
  readonly process: number;
}

/** What is reported of an owner. */
export function workerInfo(owner: string): JobWorkerInfo {
  const { host = "unknown", process = 0 } = ownerSchema.safeParse(parseJson(owner)).data ?? {};
  return { host, process };
}

/** Names this process as the one that works on a job. */
export function leaseOwner(): string {
  return JSON.stringify(identifyProcess());
}

/**
 * True while somebody works on a job: its lease has not run out, and its owner is not known to be gone. A process that was
 * killed on this host is known to be gone at once; of one elsewhere only its lease tells.
 */
export function isLeased({ leaseOwner: owner, leaseUntil }: Pick<StoredRecord<"jobs">, "leaseOwner" | "leaseUntil">, now: number): boolean {
  return leaseUntil !== null && leaseUntil > now && !isGone(owner);
}

function isGone(owner: string | null): boolean {
  const identity = owner === null ? undefined : ownerSchema.safeParse(parseJson(owner)).data;
  if (identity === undefined) return false;
  return processStatus({ ...identity, start: identity.start, namespace: identity.namespace }) === "gone";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
