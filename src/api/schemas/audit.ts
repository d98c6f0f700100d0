import { z } from "zod";
import { list } from "./common.ts";

/** A record as it was written; of a line that is none any more, only its place. */
export const auditRecord = z.record(z.string(), z.unknown()).readonly();

const count = z.strictObject({ name: z.string(), count: z.int() });

/** Counts of the audit of some time. */
export const auditCounts = z
  .strictObject({
    records: z.int(),
    byAction: list(count),
    byKey: list(count),
    byPrincipal: list(count),
    byOutcome: list(count),
    principals: z.int(),
    badLines: z.int(),
  })
  .meta({ id: "AuditCounts" });

const finding = z.strictObject({
  kind: z.enum(["record", "checkpoint", "journal", "witness", "certificate", "export"]),
  problem: z.string(),
  writer: z.exactOptional(z.string()),
  sequence: z.exactOptional(z.int()),
  checkpoint: z.exactOptional(z.string()),
  certificate: z.exactOptional(z.string()),
});

/** What a verification of the audit found. */
export const auditReport = z
  .strictObject({
    findings: list(finding),
    writers: z.int(),
    records: z.int(),
    checkpoints: z.int(),
    unshipped: z.int(),
    uncovered: z.int(),
    torn: z.int(),
    newest: z.string().optional(),
    archived: z.int(),
    certificates: z.int(),
  })
  .meta({ id: "AuditReport" });
