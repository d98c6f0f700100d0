import { z } from "zod";
import { byteRoute, jsonRoute, usual } from "../route-row.ts";
import { auditCounts, auditRecord, auditReport } from "../schemas/audit.ts";
import { base64, datasetText, instant, keyText, list, purposeText } from "../schemas/common.ts";

const action = z.string().min(1).max(64);
const name = z.string().min(1).max(512);

/** What was done, by whom. */
export const auditRoutes = {
  "GET /v1/audit": jsonRoute({
    ...usual,
    summary: "Records that fit, the newest first, page by page.",
    tag: "audit",
    action: "audit.query",
    idempotent: true,
    query: z.strictObject({
      limit: z.exactOptional(z.coerce.number().int().min(1).max(1000)),
      since: z.exactOptional(instant),
      until: z.exactOptional(instant),
      action: z.exactOptional(action),
      key: z.exactOptional(keyText),
      dataset: z.exactOptional(datasetText),
      purpose: z.exactOptional(purposeText),
      principal: z.exactOptional(name),
      request: z.exactOptional(name),
      outcome: z.exactOptional(z.enum(["allowed", "denied", "failed"])),
      failed: z.exactOptional(z.stringbool()),
      after: z.exactOptional(z.string().min(1).max(4096)),
    }),
    answer: z.strictObject({ records: list(auditRecord), next: z.string().optional() }),
    handle: async (keystead, { query }) => keystead.audit.page(query),
  }),
  "GET /v1/audit/report": jsonRoute({
    ...usual,
    summary: "Counts by action, key, principal and outcome.",
    tag: "audit",
    action: "audit.report",
    idempotent: true,
    query: z.strictObject({ from: z.exactOptional(instant), to: z.exactOptional(instant) }),
    answer: auditCounts,
    handle: (keystead, { query }) => keystead.audit.report(query),
  }),
  "GET /v1/audit/export": byteRoute({
    ...usual,
    summary: "The audit as lines of JSON that are verified without this store; one that is cut off has no closing statement.",
    tag: "audit",
    action: "audit.export",
    idempotent: true,
    mediaType: "application/x-ndjson",
    query: z.strictObject({ since: z.exactOptional(instant), until: z.exactOptional(instant) }),
    handle: async (keystead, { query }, _call, write) => {
      await keystead.audit.export(query, write);
    },
  }),
  "POST /v1/audit/verify": jsonRoute({
    ...usual,
    summary: "Check every chain, checkpoint, certificate and signature.",
    tag: "audit",
    action: "audit.verify",
    idempotent: true,
    body: z.strictObject({ pinnedKeys: z.exactOptional(z.array(base64).min(1).max(100)) }),
    answer: auditReport,
    handle: (keystead, { body }) => keystead.audit.verify(body),
  }),
  "GET /v1/audit/signers": jsonRoute({
    ...usual,
    summary: "Public keys that have signed checkpoints and certificates: keep them elsewhere than the store.",
    tag: "audit",
    action: "audit.verify",
    idempotent: true,
    answer: z.strictObject({ signers: list(z.strictObject({ signer: z.string(), publicKey: z.string(), current: z.boolean() })) }),
    handle: async (keystead) => {
      const signers = await keystead.audit.signers();
      return { signers: signers.map(({ publicKey, ...rest }) => ({ ...rest, publicKey: Buffer.from(publicKey).toString("base64") })) };
    },
  }),
} as const;
