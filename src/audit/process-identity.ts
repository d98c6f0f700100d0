import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";

/** Which process wrote a journal. */
export interface ProcessIdentity {
  readonly host: string;
  readonly process: number;
  /** Boot and start time of the process; undefined where the system doesn't say. Tells a process from a later one with its number. */
  readonly start: string | undefined;
}

/** `running`, `gone`, or `elsewhere`: on another host, where nobody here can look. */
export type ProcessStatus = "running" | "gone" | "elsewhere";

/** The name of this host; a system without one is the local host. */
export function hostName(): string {
  return hostname().slice(0, 255) || "localhost";
}

/** Start of a running process as Linux tells it; undefined when it is gone, or on other systems. */
function readStart(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    const stat = readFileSync(`/proc/${String(pid)}/stat`, "latin1");
    // The program's name stands in parentheses and may hold anything; state and start time are fields 3 and 22 (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state] = fields;
    const startTime = fields[19];
    return startTime === undefined || state === "Z" || state === "X" ? undefined : `${boot}/${startTime}`;
  } catch {
    return undefined;
  }
}

/** This process. */
export function identifyProcess(host: string): ProcessIdentity {
  return { host, process: process.pid, start: readStart(process.pid) };
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

/** What became of the process that wrote a journal, seen from `host`. In doubt it runs: its journal is left alone. */
export function processStatus(identity: ProcessIdentity, host: string): ProcessStatus {
  if (identity.host !== host) return "elsewhere";
  if (identity.start !== undefined) return readStart(identity.process) === identity.start ? "running" : "gone";
  return identity.process > 0 && isSignalled(identity.process) ? "running" : "gone";
}
