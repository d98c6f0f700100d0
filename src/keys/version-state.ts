import { KeysteadError } from "../errors.ts";
import type { StoredRecord } from "../store/tables.ts";

/** Stored state of a key version (NIST SP 800-57 part 1, section 7). */
export type VersionState = "pre-active" | "active" | "suspended" | "deactivated" | "compromised" | "destroyed";

/** A state, or `destruction-pending`: deactivated or compromised with a date of destruction. */
export type VersionPhase = VersionState | "destruction-pending";

/**
 * What may be done with a version. `seal` covers signing, and the current version alone does it. `index` makes tokens of blind
 * indexes; what moves data to other versions (`reencrypt`) makes them, too.
 */
export type VersionOperation = "seal" | "open" | "reencrypt" | "verify" | "index";

interface PhaseRule {
  readonly permits: readonly VersionOperation[];
  readonly goesTo: readonly VersionPhase[];
}

/** What each phase permits and where it may go. */
export const phases: Readonly<Record<VersionPhase, PhaseRule>> = {
  "pre-active": { permits: [], goesTo: ["active", "compromised", "destroyed"] },
  active: { permits: ["seal", "open", "reencrypt", "verify", "index"], goesTo: ["suspended", "deactivated", "compromised"] },
  suspended: { permits: ["reencrypt"], goesTo: ["active", "deactivated", "compromised"] },
  deactivated: { permits: ["open", "reencrypt", "verify", "index"], goesTo: ["destruction-pending", "compromised"] },
  "destruction-pending": { permits: ["reencrypt"], goesTo: ["deactivated", "compromised", "destroyed"] },
  compromised: { permits: ["reencrypt"], goesTo: ["destruction-pending"] },
  destroyed: { permits: [], goesTo: [] },
};

function isVersionState(text: string): text is VersionState {
  return text !== "destruction-pending" && Object.hasOwn(phases, text);
}

/** Narrows a stored state. @throws KeysteadError `STORE_TAMPERED` for a state that this program doesn't know. */
function toVersionState(text: string): VersionState {
  if (!isVersionState(text)) {
    throw new KeysteadError("STORE_TAMPERED", "a key version has a state that this program does not know; run `keystead doctor`");
  }
  return text;
}

/** The phase of a stored version. */
export function phaseOf(record: Pick<StoredRecord<"versions">, "state" | "destroyAt">): VersionPhase {
  const state = toVersionState(record.state);
  return record.destroyAt !== null && state !== "destroyed" ? "destruction-pending" : state;
}

/** True when a version in `phase` may be used for `operation`. */
export function permits(phase: VersionPhase, operation: VersionOperation): boolean {
  return phases[phase].permits.includes(operation);
}

/** Ways that a list of phases does not tell. */
const waysOut: Readonly<Partial<Record<VersionPhase, string>>> = {
  "destruction-pending": "run `keystead keys cancel-destroy` first",
};

/** @throws KeysteadError `KEY_STATE` naming the ways that are open. */
export function assertTransition(label: string, from: VersionPhase, to: VersionPhase): void {
  const { goesTo } = phases[from];
  if (goesTo.includes(to)) return;
  const ways = waysOut[from] ?? (goesTo.length === 0 ? "it stays so for ever" : `it may go to: ${goesTo.join(", ")}`);
  throw new KeysteadError("KEY_STATE", `version ${label} is ${from} and can't become ${to}; ${ways}`);
}
