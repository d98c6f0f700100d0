import { KeysteadError } from "../errors.ts";

/**
 * Refuses an answer though its record is durable: it is not yet everywhere where it must be. What is recorded again then is in the audit twice.
 *
 * @example
 * trail.record(event).catch((error) => { if (!(error instanceof RecordedRefusal)) again.push(event); });
 */
export class RecordedRefusal extends KeysteadError {
  /** @param refusal - says who does not have it */
  constructor({ code, message, cause }: KeysteadError) {
    super(code, message, { cause });
  }
}
