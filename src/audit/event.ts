import type { RequestOrigin } from "../access/caller.ts";
import type { Principal } from "../access/principal.ts";

/** What happened to a request. */
export type AuditOutcome = "allowed" | "denied" | "failed";

/** One act, as its caller describes it. Values, plaintext and key material never go in here. */
export interface AuditEvent {
  /** `<noun>.<verb>`, for example `keys.rotate`, `datasets.reencrypt`. */
  readonly action: string;
  readonly outcome: AuditOutcome;
  readonly principal: Principal;
  /** Key name. */
  readonly key?: string;
  /** Version label, `3-k7f2qd`. */
  readonly version?: string;
  readonly dataset?: string;
  readonly purpose?: string;
  /** The context of an operation on data: at most 64 pairs. */
  readonly context?: Readonly<Record<string, string>>;
  /**
   * Of a batch, one entry per item: SHA-256 of the item's ciphertext in base64url, followed by `!CODE` for an item that failed (`!CODE`
   * alone where there is no ciphertext). At most 1,000.
   */
  readonly items?: readonly string[];
  /** The request by which a served call came. */
  readonly request?: RequestOrigin;
  /** Why, in the caller's words. */
  readonly reason?: string;
  /** The error code of a failure. */
  readonly code?: string;
  /** Counts, states and names that describe the act. */
  readonly detail?: Readonly<Record<string, string | number | boolean | null>>;
}

/** Where services put their audit events. */
export interface AuditTrail {
  /**
   * Records an event. Resolves when the record is durable.
   * @throws KeysteadError `AUDIT_UNAVAILABLE` when it can't be made durable, or not everywhere where it must be (`RecordedRefusal`); the
   *   caller must then not answer.
   */
  record(event: AuditEvent): Promise<void>;
}
