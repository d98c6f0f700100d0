import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { z } from "zod";
import { identifyProcess, processStatus } from "../audit/process-identity.ts";
import type { StoredRecord } from "../store/tables.ts";

/** Milliseconds for which a job is claimed; renewed all the while it runs. */
export const leaseMilliseconds = 30_000;

const ownerSchema = z.object({ host: z.string(), process: z.int(), start: z.string().optional() });

/** Names this process as the one that works on a job. */
export function leaseOwner(): string {
  return JSON.stringify(identifyProcess(processHost()));
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
  return identity !== undefined && processStatus({ ...identity, start: identity.start }, processHost()) === "gone";
}

/**
 * Where process numbers mean what they mean here: two machines may have one host name, and so may two containers of one
 * machine, each with its own numbers. Where the system doesn't tell, the host name has to do.
 */
function processHost(): string {
  const boot = quietly(() => readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim());
  const numbers = quietly(() => readlinkSync("/proc/self/ns/pid"));
  return [hostname(), boot, numbers].join(" ").trim();
}

function quietly(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
