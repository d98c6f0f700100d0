import { appendFileSync } from "node:fs";

/** How many tests or checks of a run ended how. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Environment variable that names the file where `.ci/run` collects the counts of its parts. */
export const countsVariable = "KEYSTEAD_COUNTS";

/** `N passed, N failed, N skipped` */
export function formatCounts({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/**
 * Writes the closing line of a run and sets the exit code. As a part of `.ci/run` the counts are handed on and the line gets the
 * part's name in front, because only the last line of the whole run has the plain form.
 */
export function closeRun(part: string, counts: Counts): void {
  const file = process.env[countsVariable];
  if (file !== undefined) appendFileSync(file, `${counts.passed} ${counts.failed} ${counts.skipped}\n`);
  process.stdout.write(`${file === undefined ? "" : `${part}: `}${formatCounts(counts)}\n`);
  process.exitCode = counts.failed > 0 ? 1 : 0;
}
