import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, vi } from "vitest";
import { type Child, startChild } from "../../support/child.ts";

/** A job on `crm.person` in processes of its own, and how it is killed. */
export interface KilledJob {
  /** URL of the store. */
  readonly store: string;
  /** Path of the database. */
  readonly path: string;
  readonly kind: "protect" | "reencrypt" | "index";
  /** Rows of the table when the job begins. */
  readonly rows: number;
  readonly rowsPerPage: number;
  readonly kills: number;
  /** What is to be done after the last kill, before the job runs to its end. */
  readonly beforeEnd?: () => Promise<void>;
}

/** The program that runs a job; see there for its arguments. */
export const jobProgram = new URL("job-process.ts", import.meta.url);

/** Spares all but the first child of a test file the time to compile. */
export function shareCompileCache(): void {
  const compileCache = mkdtempSync(join(tmpdir(), "keystead-compile-cache-"));
  beforeAll(() => {
    vi.stubEnv("NODE_COMPILE_CACHE", compileCache);
  });
  afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(compileCache, { recursive: true });
  });
}

/**
 * Runs a job again and again, killing it when it has read so many rows as a random moment says, then lets it come to its end.
 * A job that is done before it is killed is begun again.
 */
export async function runKilled(job: KilledJob): Promise<{ readonly killedAt: readonly string[]; readonly end: string }> {
  const { store, path, kind, rows, rowsPerPage, kills, beforeEnd } = job;
  const start = (): Child => startChild(jobProgram, [store, path, kind, String(rowsPerPage)]);
  const killedAt: string[] = [];
  let next = start();
  while (killedAt.length < kills) {
    const moment = Math.round((rows * (killedAt.length + Math.random() - 0.5)) / kills);
    const child = next;
    child.process.stdin?.write("go\n");
    // The next one gets ready meanwhile: most of a short process's time is its start.
    next = start();
    let line = await child.nextLine();
    while (line !== undefined && (line === "begun" || Number(line) < moment)) line = await child.nextLine();
    await child.kill();
    if (child.process.signalCode === "SIGKILL") killedAt.push(line ?? "the end");
    else expect(child.process.exitCode, `${kind} after it was killed at ${killedAt.join()}`).toBe(0);
  }
  await beforeEnd?.();
  next.process.stdin?.write("go\n");
  const lines = await next.finish();
  return { killedAt, end: lines.at(-1) ?? "" };
}
