import { date, flag, number, optional, type Shape, text } from "../arguments.ts";
import type { AuditRecordView } from "../audit/newest-records.ts";
import { KeysteadError } from "../errors.ts";

/** Which records to show. */
export interface AuditFilter {
  /** At most so many, the newest: 1 or more, `Infinity` for all, which then are all in memory. Default 100. */
  readonly limit?: number;
  /** Only from this instant on. */
  readonly since?: Date;
  /** Only before this instant. */
  readonly until?: Date;
  /** Only of this action (`keys.rotate`), or of all that begin with it (`keys`). */
  readonly action?: string;
  /** Only about the key of this name. */
  readonly key?: string;
  /** Only about the dataset of this name. */
  readonly dataset?: string;
  /** Only what was denied or failed. */
  readonly failed?: boolean;
}

/** What each property of a filter must be. */
export const auditFilterShape: Shape<AuditFilter> = {
  limit: optional(number),
  since: optional(date),
  until: optional(date),
  action: optional(text),
  key: optional(text),
  dataset: optional(text),
  failed: optional(flag),
};

const defaultLimit = 100;

/** The numbers of a filter. @throws KeysteadError `INVALID_ARGUMENT` */
export function checkFilter({ limit = defaultLimit, since, until }: AuditFilter): { limit: number; since: number; until: number } {
  if (!(limit >= 1 && (Number.isSafeInteger(limit) || limit === Number.POSITIVE_INFINITY))) {
    throw new KeysteadError("INVALID_ARGUMENT", "the limit of an audit query is a whole number from 1, or Infinity for all records");
  }
  const range = { since: since?.getTime() ?? Number.NEGATIVE_INFINITY, until: until?.getTime() ?? Number.POSITIVE_INFINITY };
  if (Number.isNaN(range.since) || Number.isNaN(range.until)) {
    throw new KeysteadError("INVALID_ARGUMENT", "since and until of an audit query are valid dates");
  }
  return { limit, ...range };
}

/** True for a record that a filter lets through; its limit and times are not looked at. */
export function isWanted(record: AuditRecordView, { action, key, dataset, failed }: AuditFilter): boolean {
  const acted = String(record["action"]);
  return (
    (action === undefined || acted === action || acted.startsWith(`${action}.`)) &&
    (key === undefined || record["key"] === key) &&
    (dataset === undefined || record["dataset"] === dataset) &&
    (failed !== true || record["outcome"] !== "allowed")
  );
}
