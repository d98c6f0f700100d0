import { KeysteadError } from "../errors.ts";

const units: Readonly<Record<string, number>> = { h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000 };

/** A length of time: `12h`, `90d`, `6w`, `1y` (365 days), in milliseconds; undefined for anything else. */
function parseLength(text: string): number | undefined {
  const [, amount, unit = ""] = /^(\d{1,5})([hdwy])$/.exec(text) ?? [];
  return amount === undefined ? undefined : Number(amount) * (units[unit] ?? 0);
}

/**
 * Reads a date that has been: as {@link parseInstant} does, but a length of time is how long ago.
 * @throws KeysteadError `INVALID_ARGUMENT`
 */
export function parsePastInstant(text: string, now: number): Date {
  const length = parseLength(text);
  return length === undefined ? parseInstant(text, now) : new Date(now - length);
}

/**
 * Reads a date as people write it: `2027-01-31` (midnight UTC), `2027-01-31T12:00:00Z`, or how long from now: `12h`, `90d`,
 * `6w`, `1y` (365 days).
 * @throws KeysteadError `INVALID_ARGUMENT`
 */
export function parseInstant(text: string, now: number): Date {
  const length = parseLength(text);
  if (length !== undefined) return new Date(now + length);
  const [, day] = /^(\d{4}-\d\d-\d\d)(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?Z)?$/.exec(text) ?? [];
  const date = new Date(day === undefined ? Number.NaN : text);
  // A day that the month doesn't have would become one of the next month.
  const exists = day !== undefined && !Number.isNaN(date.getTime()) && new Date(day).toISOString().startsWith(day);
  if (!exists) {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      `${JSON.stringify(text.slice(0, 40))} is no date; write 2027-01-31, 2027-01-31T12:00:00Z or 90d`,
    );
  }
  return date;
}

/** A length of time in words: `850 ms`, `12 s`, `3 min`, `2 h 5 min`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 100) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** An ISO 8601 instant as tables show it: `2027-01-31 12:00:00`, UTC. */
export function formatInstant(iso: string | undefined | null): string {
  return iso === undefined || iso === null ? "" : iso.replace("T", " ").replace(/(?:\.\d+)?Z$/, "");
}
