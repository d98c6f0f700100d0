import { hash } from "node:crypto";
import { object, optional, text } from "../arguments.ts";
import { KeysteadError } from "../errors.ts";

/** How a change is made of something that others may change, too. */
export interface ChangeOptions {
  /**
   * Tag of what the change was decided on, as {@link entityTag} makes it of what `show` answered; `*`: whatever it is by now, but it must be
   * there. Absent: whatever it is by now, and a principal that is not known yet is entered.
   */
  readonly ifMatch?: string;
}

/** What {@link ChangeOptions} must be. */
export const changeOptions = object<ChangeOptions>({ ifMatch: optional(text) });

/** Names what a service answers, so that a change can say what it was decided on: SHA-256 of its JSON, base64url. */
export function entityTag(answer: object): string {
  return tagOfJson(JSON.stringify(answer));
}

/** As {@link entityTag}, of the JSON text itself. */
export function tagOfJson(json: string): string {
  return hash("sha256", json, "base64url");
}

/** What {@link ChangeOptions.ifMatch} says of something that is to be there, whatever it is. */
export const anyTag = "*";

/**
 * @param answer undefined for what is not there
 * @throws KeysteadError `PRECONDITION_FAILED` when something is not what a change was decided on
 */
export function assertUnchanged(answer: object | undefined, { ifMatch }: ChangeOptions): void {
  if (ifMatch === undefined) return;
  if (answer === undefined)
    throw new KeysteadError("PRECONDITION_FAILED", "it is not there, or not any more: leave the precondition out to make it");
  if (ifMatch === anyTag || ifMatch === entityTag(answer)) return;
  throw new KeysteadError("PRECONDITION_FAILED", "it was changed since it was read: read it again and decide anew");
}
