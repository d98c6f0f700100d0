import { KeysteadError } from "../../../errors.ts";
import type { StoreAuditReport } from "../../../index.ts";
import type { StepOutcome } from "../report.ts";
import type { Tour } from "../tour.ts";
import { plural } from "../words.ts";

/** Public keys of the store's audit key (SPKI DER), kept from the start: an anchor for what is signed later. */
export async function readAuditKeys({ keystead }: Pick<Tour, "keystead">): Promise<readonly Uint8Array[]> {
  return (await keystead.audit.signers()).map(({ publicKey }) => publicKey);
}

/** Verifies everything that was written down about the tour. */
export async function verifyAudit({ keystead }: Tour, pinnedKeys: readonly Uint8Array[]): Promise<StepOutcome<StoreAuditReport>> {
  const report = await keystead.audit.verify({ pinnedKeys });
  const [finding] = report.findings;
  if (finding !== undefined)
    throw new KeysteadError("AUDIT_TAMPERED", `the audit of the tour does not verify: ${finding.problem}; please report this`);
  const { writers, records, checkpoints } = report;
  return {
    result: report,
    text: `${plural(writers, "chain")} of ${plural(records, "record")} and ${plural(checkpoints, "signed checkpoint")} hold together, nothing altered or missing`,
  };
}
