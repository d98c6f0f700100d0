import { KeysteadError } from "../errors.ts";

/** @throws KeysteadError `INVALID_ARGUMENT` for an invalid date, one in the past, and an expiry before the activation. */
export function assertVersionDates(
  { expiresAt, activateAt }: { readonly expiresAt?: Date; readonly activateAt?: Date },
  now: number,
): void {
  for (const date of [expiresAt, activateAt]) {
    if (date !== undefined && Number.isNaN(date.getTime())) {
      throw new KeysteadError("INVALID_ARGUMENT", "a date is not valid; write it as 2027-01-31 or 2027-01-31T12:00:00Z");
    }
  }
  if (activateAt !== undefined && activateAt.getTime() < now) {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      "the activation is in the past; leave it out to make the version current now, or choose a later one",
    );
  }
  if (expiresAt === undefined) return;
  if (expiresAt.getTime() <= now) {
    throw new KeysteadError("INVALID_ARGUMENT", "the expiry is in the past, so the version would protect nothing; choose a later one");
  }
  if (activateAt !== undefined && expiresAt.getTime() <= activateAt.getTime()) {
    throw new KeysteadError("INVALID_ARGUMENT", "a key version can't expire before it is active; choose a later expiry");
  }
}

/** Checks tags and rotation policy. @throws KeysteadError `INVALID_ARGUMENT` naming the bounds. */
export function assertKeySettings(settings: {
  readonly tags: Readonly<Record<string, string>>;
  readonly rotationDays: number | null;
}): void {
  const tags: [string, unknown][] = Object.entries(settings.tags);
  const fits = (text: unknown, least: number, most: number): boolean =>
    typeof text === "string" && text.isWellFormed() && !/\p{Cc}/u.test(text) && text.length >= least && text.length <= most;
  if (tags.length > 50 || !tags.every(([name, value]) => fits(name, 1, 128) && fits(value, 0, 256))) {
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      "tags are at most 50 pairs of text without control characters: names of 1 to 128 characters, values of 256 at most",
    );
  }
  assertRotationDays(settings.rotationDays);
}

/** @throws KeysteadError `INVALID_ARGUMENT` outside 1…36500 days. */
export function assertRotationDays(days: number | null): void {
  if (days === null || (Number.isSafeInteger(days) && days >= 1 && days <= 36500)) return;
  throw new KeysteadError("INVALID_ARGUMENT", "rotation takes a whole number of days from 1 to 36500");
}
