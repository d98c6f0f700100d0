import { createReadStream } from "node:fs";
import { parseLine } from "./export/lines.ts";
import { splitLines } from "./export/split-lines.ts";
import { isMissingFile } from "./journal-file.ts";
import { parseRecord } from "./record.ts";
import { type AuditCounts, AuditTally } from "./report.ts";

/** Counts of what files hold. */
export interface FilesReport extends AuditCounts {
  /** Files that are not there: nothing was recorded into them. */
  readonly missing: readonly string[];
}

/** Which records are counted. */
export interface ReportRange {
  /** From this instant on. */
  readonly from?: Date;
  /** Before this one. */
  readonly to?: Date;
}

/**
 * Counts the records of JSON-lines files: exports, sinks, journals. A line that is no record is counted as one, a file that is missing
 * is empty. Reads line by line.
 * @example
 * const { byKey, badLines } = await reportAuditFiles(["audit.jsonl"], { from: new Date("2027-01-01") });
 */
export async function reportAuditFiles(files: readonly string[], { from, to }: ReportRange = {}): Promise<FilesReport> {
  const tally = new AuditTally();
  const missing: string[] = [];
  const [since, until] = [from?.getTime() ?? Number.NEGATIVE_INFINITY, to?.getTime() ?? Number.POSITIVE_INFINITY];
  for (const file of files) {
    try {
      for await (const { bytes } of splitLines(createReadStream(file))) {
        const record = parseRecord(bytes);
        const time = Date.parse(record?.time ?? "");
        if (record === undefined) {
          if (bytes.length > 0 && parseLine(bytes) === undefined) tally.addBadLine();
        } else if (time >= since && time < until) tally.add(record);
      }
    } catch (error) {
      if (!isMissingFile(error)) throw error;
      missing.push(file);
    }
  }
  return { ...tally.counts(), missing };
}
