import { z } from "zod";
import type { AuditRecordView, RecordCursor } from "../audit/newest-records.ts";
import { uuidPattern } from "../audit/record-check.ts";
import { decodeBase64url, encodeBase64url } from "../crypto/base64url.ts";
import { KeysteadError } from "../errors.ts";
import type { AuditFilter } from "./audit-filter.ts";

/** Which records a page holds. */
export interface AuditPageFilter extends AuditFilter {
  /** `next` of the page before. Absent: from the newest record on. */
  readonly after?: string;
}

/** A part of the audit, newest record first. */
export interface AuditRecordPage {
  readonly records: readonly AuditRecordView[];
  /** What the next page is asked for by; undefined when nothing is left. A page may be short, or empty, and have a next one. */
  readonly next: string | undefined;
}

/** Records of one page, at most. */
export const largestPage = 1000;

/** Records that are looked at for one page, at most: a filter that nothing fits must not hold a process for long. */
export const longestLook = 20_000;

const longestCursor = 100_000;

const cursorSchema = z.strictObject({
  checkpoint: z.string().regex(/^(?:[0-9a-f]{64})?$/),
  open: z.array(z.tuple([z.string().regex(uuidPattern), z.int().min(0)])).max(1000),
  time: z.number(),
});

/** A cursor as text; it means nothing to who asks. */
export function formatCursor(cursor: RecordCursor): string {
  return encodeBase64url(Buffer.from(JSON.stringify(cursor)));
}

/** @throws KeysteadError `INVALID_ARGUMENT` for what is none */
export function parseCursor(text: string): RecordCursor {
  const json = text.length > longestCursor ? undefined : decodeBase64url(text)?.toString("utf8");
  try {
    return cursorSchema.parse(JSON.parse(json ?? ""));
  } catch {
    throw new KeysteadError("INVALID_ARGUMENT", "after is not what the page before gave as next; begin again without it");
  }
}
