import type { AuditOutcome } from "../audit/event.ts";
import { choice, date, flag, number, optional, type Shape, text } from "../arguments.ts";
import type { AuditRecordView } from "../audit/newest-records.ts";
import { memberOf, principalOf } from "../audit/record-fields.ts";
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
  /** Only of this outcome. */
  readonly outcome?: AuditOutcome;
  /** Only by this principal: `<source>:<id>`, for example `os-user:anna`. */
  readonly principal?: string;
  /** Only of the request with this id. */
  readonly request?: string;
  /** Only about keys of this purpose. */
  readonly purpose?: string;
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
  outcome: optional(choice("allowed", "denied", "failed")),
  principal: optional(text),
  request: optional(text),
  purpose: optional(text),
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

/** What each property of a filter but its limit and times asks of a record. */
const tests: {
  readonly [Name in Exclude<keyof AuditFilter, "limit" | "since" | "until">]-?: (record: AuditRecordView, wanted: unknown) => boolean;
} = {
  action: ({ action }, wanted) => action === wanted || String(action).startsWith(`${String(wanted)}.`),
  key: ({ key }, wanted) => key === wanted,
  dataset: ({ dataset }, wanted) => dataset === wanted,
  purpose: ({ purpose }, wanted) => purpose === wanted,
  outcome: ({ outcome }, wanted) => outcome === wanted,
  failed: ({ outcome }, wanted) => wanted !== true || outcome !== "allowed",
  principal: (record, wanted) => principalOf(record) === wanted,
  request: ({ request }, wanted) => memberOf(request, "id") === wanted,
};

const testEntries = Object.entries(tests);

/** True for a record that a filter lets through; its limit and times are not looked at. */
export function isWanted(record: AuditRecordView, filter: AuditFilter): boolean {
  const wanted = new Map<string, unknown>(Object.entries(filter));
  return testEntries.every(([name, test]) => wanted.get(name) === undefined || test(record, wanted.get(name)));
}
