import { z } from "zod";
import { limits } from "../../audit/record-check.ts";
import { isProblem } from "../../keys/data-acts.ts";
import { jsonRoute, silent, usual } from "../route-row.ts";
import { problems } from "../route-problems.ts";
import { base64, datasetText, exactlyOne, itemProblem, keyText, list, reasonText, targetMembers, targetOf } from "../schemas/common.ts";
import { problemJson } from "./data-many.ts";

const leaseId = z.string().min(1).max(64);
const leaseParams = z.strictObject({ lease: leaseId });
const bytes = z.string().meta({ contentEncoding: "base64" });

const leasedKey = z.strictObject({
  id: z.string(),
  key: z.string(),
  keyId: z.string(),
  label: z.string(),
  prefix: bytes,
  aesKey: bytes,
  lifetime: z.int().meta({ description: "milliseconds that it is good for, from when it was asked for" }),
});
const sealLease = leasedKey
  .extend({
    messages: z.int().meta({ description: "messages that may be sealed" }),
    bytes: z.int().meta({ description: "bytes of plaintext that may be sealed" }),
  })
  .meta({ id: "SealLease" });
const openLease = leasedKey.meta({ id: "OpenLease" });

/** A lease without its key. */
const leaseInfo = z
  .strictObject({
    id: z.string(),
    key: z.string(),
    version: z.string(),
    dataset: z.exactOptional(z.string()),
    prefix: z.string(),
    principal: z.string(),
    state: z.enum(["in force", "expired", "released", "revoked"]),
    messages: z.int(),
    createdAt: z.string(),
    expiresAt: z.string(),
    revokedBy: z.exactOptional(z.string()),
  })
  .meta({ id: "Lease" });

/** Derived keys for the local mode of clients. */
export const leaseRoutes = {
  "POST /v1/leases/seal": jsonRoute({
    ...usual,
    summary: "Lease a fresh prefix with its derived key, to seal by oneself for an hour at most.",
    tag: "leases",
    action: "leases.create",
    status: 201,
    problems: problems.sealing,
    body: exactlyOne(z.strictObject({ ...targetMembers, dataset: z.exactOptional(datasetText) }), "key", "purpose"),
    answer: sealLease,
    handle: async (keystead, { body }) => {
      const { dataset } = body;
      return written(await keystead.leases.seal(targetOf(body), dataset === undefined ? {} : { dataset }));
    },
  }),
  "POST /v1/leases/open": jsonRoute({
    ...usual,
    summary: "Lease the derived key of a prefix that was leased for sealing, to open by oneself.",
    tag: "leases",
    action: "leases.create",
    idempotent: true,
    problems: ["UNKNOWN_LEASE", ...problems.opening],
    body: z.strictObject({ key: keyText, label: z.string().min(1).max(17), prefix: base64 }),
    answer: openLease,
    handle: async (keystead, { body }) => written(await keystead.leases.open(body)),
  }),
  "POST /v1/leases/renew": jsonRoute({
    ...usual,
    summary: "Ask which leases still hold; none is used that was not affirmed for 60 seconds.",
    tag: "leases",
    action: "leases.create",
    idempotent: true,
    body: z.strictObject({
      leases: z
        .array(z.strictObject({ id: leaseId, use: z.enum(["seal", "open"]) }))
        .min(1)
        .max(limits.items),
    }),
    answer: z.strictObject({ leases: list(z.union([z.strictObject({ id: z.string() }), itemProblem])) }),
    handle: async (keystead, { body }) => {
      const answers = await keystead.leases.renew(body.leases);
      return { leases: answers.map((answer) => (isProblem(answer) ? problemJson(answer.problem) : answer)) };
    },
  }),
  "POST /v1/leases/:lease/release": jsonRoute({
    ...silent,
    summary: "End a sealing lease of one's own, and give back the messages that were not sealed.",
    tag: "leases",
    action: "leases.create",
    idempotent: true,
    problems: ["UNKNOWN_LEASE"],
    params: leaseParams,
    body: z.strictObject({ used: z.int().min(0) }),
    handle: (keystead, { params, body }) => keystead.leases.release(params.lease, body.used),
  }),
  "GET /v1/leases": jsonRoute({
    ...usual,
    summary: "Leases in force, the newest first; at most 1,000.",
    tag: "leases",
    action: "leases.list",
    idempotent: true,
    problems: ["UNKNOWN_KEY"],
    query: z.strictObject({ key: z.exactOptional(keyText) }),
    answer: z.strictObject({ leases: list(leaseInfo) }),
    handle: async (keystead, { query }) => ({ leases: await keystead.leases.list(query) }),
  }),
  "GET /v1/leases/:lease": jsonRoute({
    ...usual,
    summary: "A lease, without its key.",
    tag: "leases",
    action: "leases.list",
    idempotent: true,
    problems: ["UNKNOWN_LEASE"],
    params: leaseParams,
    answer: leaseInfo,
    handle: (keystead, { params }) => keystead.leases.show(params.lease),
  }),
  "DELETE /v1/leases/:lease": jsonRoute({
    ...usual,
    summary: "Revoke a lease: its holder stops within 60 seconds.",
    tag: "leases",
    action: "leases.revoke",
    idempotent: true,
    problems: ["UNKNOWN_LEASE"],
    params: leaseParams,
    query: z.strictObject({ reason: z.exactOptional(reasonText) }),
    answer: leaseInfo,
    handle: (keystead, { params, query }) => keystead.leases.revoke(params.lease, query),
  }),
} as const;

function written<T extends { readonly prefix: Buffer; readonly aesKey: Buffer }>(
  lease: T,
): Omit<T, "prefix" | "aesKey"> & { readonly prefix: string; readonly aesKey: string } {
  const { prefix, aesKey } = lease;
  const answer = { ...lease, prefix: prefix.toString("base64"), aesKey: aesKey.toString("base64") };
  aesKey.fill(0);
  return answer;
}
