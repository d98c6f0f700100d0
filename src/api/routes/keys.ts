import { z } from "zod";
import { jsonRoute, type JsonRow, type Nothing, silent, usual } from "../route-row.ts";
import { problems } from "../route-problems.ts";
import { instant, keyText, list, purposeText, reasonText } from "../schemas/common.ts";
import { destructionCertificate, destructionStatus, keyInfo, versionUsage } from "../schemas/keys.ts";

const keyParams = z.strictObject({ key: keyText });
const versionParams = z.strictObject({
  key: keyText,
  version: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 31 - 1),
});
const aliasParams = z.strictObject({ alias: keyText });
const tags = z.record(z.string().min(1).max(128), z.string().max(256));
const rotationDays = z.int().min(1).max(36_500);
const usage = z.enum(["encrypt", "blind-index", "mac", "sign", "agree"]);
const dates = { expiresAt: z.exactOptional(instant), activateAt: z.exactOptional(instant) };
const why = z.strictObject({ reason: z.exactOptional(reasonText) });

/** What is not there where a version is named. */
const version = ["UNKNOWN_KEY", "UNKNOWN_KEY_VERSION"] as const;

/** What a state change is called, and what it does. */
const stateChanges = {
  activate: "Make a pre-active version active and, when it is the newest, current.",
  suspend: "Stop a version from sealing and opening until it is resumed.",
  resume: "End a suspension.",
  deactivate: "Stop a version from sealing for good; it still opens.",
  compromise: "Mark a version as compromised: only what moves its data away may open it.",
} as const;

/** Keys and their lifecycle. */
export const keyRoutes = {
  "GET /v1/keys": jsonRoute({
    ...usual,
    summary: "Every key, by name.",
    tag: "keys",
    action: "keys.list",
    idempotent: true,
    query: z.strictObject({ purpose: z.exactOptional(purposeText) }),
    answer: z.strictObject({ keys: list(keyInfo) }),
    handle: async (keystead, { query }) => ({ keys: await keystead.keys.list(query) }),
  }),
  "POST /v1/keys": jsonRoute({
    ...usual,
    summary: "Create a key with version 1.",
    tag: "keys",
    action: "keys.create",
    status: 201,
    problems: ["NAME_TAKEN", "CONFLICT", "KEY_USAGE", "UNKNOWN_PURPOSE", "UNKNOWN_ALGORITHM", ...problems.kek],
    body: z.strictObject({
      name: keyText,
      purpose: purposeText,
      usage: z.exactOptional(usage),
      algorithm: z.exactOptional(z.string().min(1).max(64)),
      tags: z.exactOptional(tags),
      rotationDays: z.exactOptional(rotationDays),
      ...dates,
    }),
    answer: keyInfo,
    handle: (keystead, { body }) => keystead.keys.create(body),
  }),
  "GET /v1/keys/:key": jsonRoute({
    ...usual,
    summary: "A key by name or alias, with its versions.",
    tag: "keys",
    action: "keys.show",
    idempotent: true,
    tagged: true,
    problems: ["UNKNOWN_KEY"],
    params: keyParams,
    answer: keyInfo,
    handle: (keystead, { params }) => keystead.keys.show(params.key),
  }),
  "PATCH /v1/keys/:key": jsonRoute({
    ...usual,
    summary: "Replace tags and rotation policy; what is absent stays, `null` removes.",
    tag: "keys",
    action: "keys.set",
    tagged: true,
    problems: ["UNKNOWN_KEY"],
    params: keyParams,
    body: z.strictObject({ tags: z.exactOptional(tags), rotationDays: z.exactOptional(rotationDays.nullable()) }),
    answer: keyInfo,
    handle: (keystead, { params, body }, call) =>
      keystead.keys.set(params.key, body, call.ifMatch === undefined ? {} : { ifMatch: call.ifMatch }),
  }),
  "POST /v1/keys/:key/rotate": jsonRoute({
    ...usual,
    summary: "Make the next version; it is current when this answers, earlier ones still open what they sealed.",
    tag: "keys",
    action: "keys.rotate",
    problems: ["UNKNOWN_KEY", "KEY_STATE", "CONFLICT", ...problems.kek],
    params: keyParams,
    body: why.extend(dates),
    answer: keyInfo,
    handle: (keystead, { params, body }) => keystead.keys.rotate(params.key, body),
  }),
  "POST /v1/keys/:key/versions/:version/activate": stateChange("activate"),
  "POST /v1/keys/:key/versions/:version/suspend": stateChange("suspend"),
  "POST /v1/keys/:key/versions/:version/resume": stateChange("resume"),
  "POST /v1/keys/:key/versions/:version/deactivate": stateChange("deactivate"),
  "POST /v1/keys/:key/versions/:version/compromise": stateChange("compromise"),
  "POST /v1/keys/:key/versions/:version/destroy": jsonRoute({
    ...usual,
    summary: "Take the next step of a destruction: schedule it, or execute it after the waiting time.",
    tag: "keys",
    action: "keys.destroy",
    problems: ["VERSION_IN_USE", "DESTRUCTION_WAITING", "CONFLICT", "KEY_STATE", ...version, ...problems.rows, ...problems.kek],
    params: versionParams,
    body: why.extend({ waitingDays: z.exactOptional(z.int().min(1).max(36_500)) }),
    answer: destructionStatus,
    handle: (keystead, { params, body }) => keystead.keys.destroy(params.key, params.version, body),
  }),
  "POST /v1/keys/:key/versions/:version/cancel-destroy": jsonRoute({
    ...silent,
    summary: "Cancel a scheduled destruction.",
    tag: "keys",
    action: "keys.cancel-destroy",
    problems: ["KEY_STATE", ...version],
    params: versionParams,
    body: why,
    handle: (keystead, { params, body }) => keystead.keys.cancelDestroy(params.key, params.version, body),
  }),
  "GET /v1/keys/:key/versions/:version/usage": jsonRoute({
    ...usual,
    summary: "Counted use of a version, up to now.",
    tag: "keys",
    action: "keys.usage",
    idempotent: true,
    problems: version,
    params: versionParams,
    answer: versionUsage,
    handle: (keystead, { params }) => keystead.keys.usage(params.key, params.version),
  }),
  "GET /v1/keys/:key/versions/:version/certificate": jsonRoute({
    ...usual,
    summary: "The signed certificate of a version's destruction.",
    tag: "keys",
    action: "keys.certificate",
    idempotent: true,
    problems: ["KEY_STATE", ...version],
    params: versionParams,
    answer: destructionCertificate,
    handle: (keystead, { params }) => keystead.keys.certificate(params.key, params.version),
  }),
  "GET /v1/keys/:key/census": jsonRoute({
    ...usual,
    summary: "How many values each version of a key protects, in all datasets.",
    tag: "keys",
    action: "datasets.census",
    idempotent: true,
    problems: ["UNKNOWN_KEY", ...problems.rows],
    params: keyParams,
    answer: z.strictObject({ versions: list(z.strictObject({ version: z.string(), count: z.int() })) }),
    handle: async (keystead, { params }) => ({ versions: await keystead.datasets.census(params.key) }),
  }),
  "PUT /v1/aliases/:alias": jsonRoute({
    ...usual,
    summary: "Point an alias to a key.",
    tag: "keys",
    action: "keys.set-alias",
    idempotent: true,
    problems: ["NAME_TAKEN", "UNKNOWN_KEY"],
    params: aliasParams,
    body: z.strictObject({ key: keyText }),
    answer: keyInfo,
    handle: (keystead, { params, body }) => keystead.keys.setAlias(params.alias, body.key),
  }),
  "DELETE /v1/aliases/:alias": jsonRoute({
    ...silent,
    summary: "Remove an alias; the key stays.",
    tag: "keys",
    action: "keys.remove-alias",
    problems: ["UNKNOWN_KEY"],
    params: aliasParams,
    handle: (keystead, { params }) => keystead.keys.removeAlias(params.alias),
  }),
} as const;

/** A route that changes the state of a version. */
function stateChange(change: keyof typeof stateChanges): JsonRow<typeof versionParams, Nothing, typeof why, typeof keyInfo, false> {
  return jsonRoute({
    ...usual,
    summary: stateChanges[change],
    tag: "keys",
    action: `keys.${change}`,
    problems: ["KEY_STATE", "CONFLICT", ...version],
    params: versionParams,
    body: why,
    answer: keyInfo,
    handle: (keystead, { params, body }) => keystead.keys[change](params.key, params.version, body),
  });
}
