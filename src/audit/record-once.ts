import type { AuditEvent, AuditTrail } from "./event.ts";
import { RecordedRefusal } from "./recorded-refusal.ts";

/**
 * Records what happened already and answers nobody. It is done when the record is durable, whatever sinks have: they get it later.
 * @throws KeysteadError `AUDIT_UNAVAILABLE` and the like when it is not: then it may be recorded again
 */
export async function recordOnce(trail: AuditTrail, event: AuditEvent): Promise<void> {
  try {
    await trail.record(event);
  } catch (error) {
    if (!(error instanceof RecordedRefusal)) throw error;
  }
}
