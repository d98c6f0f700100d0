import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";

/** Which process did something: what it takes to find out later whether it still runs. */
export interface ProcessIdentity {
  readonly host: string;
  /** Process number. */
  readonly process: number;
  /** `<boot id>/<start time>`: tells a process from a later one with its number. Undefined where the system doesn't say. */
  readonly start: string | undefined;
  /** The PID namespace in which `process` is its number: each container has its own. Undefined where the system doesn't say. */
  readonly namespace: string | undefined;
}

/** `running` and `gone` are certain. `unknown`: another host, container or boot, where nobody here can look. */
export type ProcessStatus = "running" | "gone" | "unknown";

/** The name of this host; a system without one is the local host. */
function hostName(): string {
  return hostname().slice(0, 255) || "localhost";
}

function quietly(read: () => string): string | undefined {
  try {
    return read().trim();
  } catch {
    return undefined;
  }
}

/** Boot and start time of a running process as Linux tells them; `ended` for one that only waits to be forgotten. */
function readStart(pid: number): string | undefined {
  const boot = quietly(() => readFileSync("/proc/sys/kernel/random/boot_id", "latin1"));
  const stat = quietly(() => readFileSync(`/proc/${String(pid)}/stat`, "latin1"));
  if (boot === undefined || stat === undefined) return undefined;
  // The program's name stands in parentheses and may hold anything; state and start time are fields 3 and 22 (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  const startTime = fields[19];
  if (startTime === undefined) return undefined;
  return state === "Z" || state === "X" ? "ended" : `${boot}/${startTime}`;
}

/** This process. */
export function identifyProcess(host = hostName()): ProcessIdentity {
  const namespace = quietly(() => readlinkSync("/proc/self/ns/pid"));
  return { host, process: process.pid, start: readStart(process.pid), namespace };
}

function isSignalled(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there and belongs to somebody else.
    return error instanceof Error && "code" in error && error.code !== "ESRCH";
  }
}

function bootOf({ start }: ProcessIdentity): string | undefined {
  return start?.split("/")[0];
}

/**
 * True for processes under one running kernel: a lock that it keeps holds between them. Where the system doesn't tell one boot
 * from another, the name of the host has to do.
 */
export function onSameMachine(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return bootOf(one) === bootOf(other) && (bootOf(one) !== undefined || one.host === other.host);
}

/** True when both processes count their numbers in the same place, so that one can look for the other. */
function shareNumbers(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return onSameMachine(one, other) && one.namespace === other.namespace && (one.namespace !== undefined || bootOf(one) === undefined);
}

/**
 * What became of a process, seen from another one.
 * @param own who looks; that process must be this one, or one that counts numbers as it does
 */
export function processStatus(identity: ProcessIdentity, own: ProcessIdentity = identifyProcess()): ProcessStatus {
  if (!shareNumbers(identity, own)) return "unknown";
  if (identity.process <= 0) return "gone";
  const start = readStart(identity.process);
  if (start === undefined) return isSignalled(identity.process) ? "unknown" : "gone";
  return start === identity.start ? "running" : "gone";
}

/** True when both are one process. */
export function isSameProcess(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return shareNumbers(one, other) && one.process === other.process && one.start === other.start;
}
