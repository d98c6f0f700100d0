import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** Ticks of Linux's accounts are hundredths of a second. */
const tickMilliseconds = 10;

/** Share of one core below which a process is at rest. */
const restShare = 0.05;
const restLimit = 30_000;
const lookEvery = 250;

/** Processor milliseconds that a process and those it started have used; NaN where there is no /proc. */
export function processorTime(pid: number): number {
  try {
    return familyOf(pid).reduce((sum, member) => sum + ticksOf(member), 0) * tickMilliseconds;
  } catch {
    return Number.NaN;
  }
}

/** Resolves when a server has done what it put off, or after half a minute. */
export async function untilAtRest(pid: number): Promise<void> {
  const limit = performance.now() + restLimit;
  for (let before = processorTime(pid); performance.now() < limit;) {
    await pause(lookEvery);
    const now = processorTime(pid);
    if (!(now - before > restShare * lookEvery)) return;
    before = now;
  }
}

function familyOf(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) if (/^\d+$/.test(name)) parents.set(Number(name), statOf(Number(name))[1]);
  const family = [pid];
  // Grows while it is walked.
  for (const member of family) for (const [child, parent] of parents) if (parent === member) family.push(child);
  return family;
}

function ticksOf(pid: number): number {
  return statOf(pid)[0];
}

/** Ticks that a process has used, and its parent; nothing of one that ended. */
function statOf(pid: number): readonly [number, number] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name may hold spaces and brackets.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return [Number(fields[11]) + Number(fields[12]), Number(fields[1])];
  } catch {
    return [0, 0];
  }
}
