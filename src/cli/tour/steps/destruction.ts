import { isKeysteadError, KeysteadError } from "../../../errors.ts";
import { type Census, type DestructionCertificate, type DestructionStatement, type ErrorCode, verifyCertificate } from "../../../index.ts";
import { formatInstant } from "../../instants.ts";
import type { StepOutcome } from "../report.ts";
import { reason, type Tour, type TourPlan } from "../tour.ts";

/** A destruction that the gate refused. */
export interface Refusal {
  readonly key: string;
  readonly version: number;
  readonly code: ErrorCode;
  readonly message: string;
}

/** The end of a version. */
export interface Destruction extends DestructionCertificate {
  readonly key: string;
  readonly version: string;
  /** The signature was made by the store's audit key over exactly this statement. */
  readonly verified: true;
}

const oldVersion = 1;

/** Tries to destroy an old version while rows still need it, as the census says. */
export async function refuseDestruction({ keystead }: Tour, { columns }: Census): Promise<StepOutcome<Refusal>> {
  const needed = columns.flatMap(({ versions }) => versions).find(({ standing }) => standing === "old");
  if (needed === undefined) throw new KeysteadError("INVALID_ARGUMENT", "no value of the table could be protected; take other columns");
  const { key } = needed;
  try {
    await keystead.keys.destroy(key, oldVersion, { reason });
  } catch (error) {
    if (!isKeysteadError(error, "VERSION_IN_USE")) throw error;
    const { code, message } = error;
    return {
      result: { key, version: oldVersion, code, message },
      text: `destroying version ${oldVersion} of ${key} while rows need it is refused, in these words:`,
      details: [`${message} (${code})`],
    };
  }
  throw new KeysteadError("VERIFICATION_FAILED", "a version was let go that rows still need; please report this");
}

/** Destroys the old versions: schedules, lets the waiting time pass, executes, verifies the certificates. */
export async function destroyVersions(
  { keystead, clock, signal }: Tour,
  { purposes }: TourPlan,
  pinnedKeys: readonly Uint8Array[],
): Promise<StepOutcome<readonly Destruction[]>> {
  const { destructionWaitingDays } = await keystead.settings.list();
  for (const key of purposes) {
    signal.throwIfAborted();
    const { status } = await keystead.keys.destroy(key, oldVersion, { reason });
    if (status !== "scheduled")
      throw new KeysteadError("VERIFICATION_FAILED", "a version was destroyed without its waiting time; please report this");
  }
  clock.advance(destructionWaitingDays);
  await keystead.refresh();
  const destroyed: Destruction[] = [];
  const details = [`scheduled; the demo clock was moved on by the waiting time of ${destructionWaitingDays} days`];
  for (const key of purposes) {
    signal.throwIfAborted();
    const outcome = await keystead.keys.destroy(key, oldVersion, { reason });
    if (outcome.status !== "destroyed")
      throw new KeysteadError("VERIFICATION_FAILED", "a version survived its destruction; please report this");
    const certificate = await keystead.keys.certificate(key, oldVersion);
    const { statement } = verifyCertificate(certificate, { pinnedKeys, storeId: keystead.store.id });
    if (statement?.key.name !== key || statement.version !== outcome.label)
      throw new KeysteadError("VERIFICATION_FAILED", "a certificate does not hold what was done; please report this");
    destroyed.push({ key, version: outcome.label, verified: true, ...certificate });
    details.push(describe(statement));
  }
  const versions = destroyed.map(({ key, version }) => `${key} ${version}`).join(", ");
  return { result: destroyed, text: `gone for ever: ${versions}; certificates verified`, details };
}

function describe({ key, version, executedAt, evidence, signer }: DestructionStatement): string {
  const count = evidence.censuses.reduce((sum, census) => sum + census.count, 0);
  return `certificate: ${key.name} ${version}, ${formatInstant(executedAt)} UTC, ${count} values left anywhere, signed by ${signer}`;
}
