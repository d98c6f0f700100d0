import type { AuditEvent } from "../audit/event.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { Engine } from "./engine.ts";

/** An act as a service describes it before it happens. */
export type Act = Pick<AuditEvent, "action"> & Partial<Pick<AuditEvent, "key" | "version" | "dataset" | "reason" | "detail">>;

/**
 * Asks access control, does the work and records the act; the answer is given once the record is durable. Refusals and
 * failures are recorded, too.
 * @param describe adds what only the result knows (version, counts)
 */
export async function audited<T>(engine: Engine, act: Act, work: () => Promise<T>, describe?: (result: T) => Partial<Act>): Promise<T> {
  const { principal } = engine;
  let result: T;
  try {
    await engine.access.authorize(principal, act.action, {
      ...(act.key !== undefined && { key: act.key }),
      ...(act.dataset !== undefined && { dataset: act.dataset }),
    });
    result = await work();
  } catch (error) {
    const outcome = isKeysteadError(error, "ACCESS_DENIED") ? "denied" : "failed";
    await engine.audit.record({ ...act, principal, outcome, code: error instanceof KeysteadError ? error.code : "INTERNAL" });
    throw error;
  }
  await engine.audit.record({ ...act, ...describe?.(result), principal, outcome: "allowed" });
  return result;
}
