import { z } from "zod";
import { actionNames } from "../../access/actions.ts";
import { policyEffects } from "../../access/policy.ts";
import { approvalStates } from "../../keys/access/approval-service.ts";
import { instant, instantText, list } from "./common.ts";

/** Id of a policy, a token or an approval. */
export const shortId = z.string().min(1).max(64);
/** A principal, a role, a claim, a group, or everybody. */
export const subject = z.string().min(1).max(512);

const pattern = z.string().min(1).max(255);
const patterns = z.array(pattern).min(1).max(100).readonly();
const actionPatterns = z.array(z.string().min(1).max(64)).min(1).max(100).readonly();
const values = z.record(z.string().max(255), z.array(z.string().max(4096)).min(1).max(100).readonly()).readonly();
const timeOfDay = z
  .string()
  .max(5)
  .meta({ examples: ["08:00", "24:00"] });
const weekday = z.enum(["sun", "mon", "tue", "wed", "thu", "fri", "sat"]);

/** A policy as somebody writes it. What its patterns mean is checked by the engine. */
export const policyInput = z
  .strictObject({
    effect: z.enum(policyEffects),
    subject,
    actions: actionPatterns.meta({ examples: [["data.encrypt", "keys.*"]] }),
    keys: z.exactOptional(patterns),
    purposes: z.exactOptional(patterns),
    datasets: z.exactOptional(patterns),
    context: z.exactOptional(values),
    notBefore: z.exactOptional(instantText),
    notAfter: z.exactOptional(instantText),
    daily: z.exactOptional(
      z.strictObject({ days: z.exactOptional(z.array(weekday).min(1).max(7).readonly()), from: timeOfDay, to: timeOfDay }).readonly(),
    ),
    mask: z.exactOptional(
      z
        .string()
        .min(1)
        .max(64)
        .meta({ examples: ["***-**-{last:4}"], description: "what alone is shown of a field; of one that allows data.reveal alone" }),
    ),
    description: z.exactOptional(z.string().max(500)),
  })
  .meta({ id: "PolicyInput" });

const changed = { createdAt: z.string(), createdBy: z.string(), updatedAt: z.string(), updatedBy: z.string() };

/** A policy as it stands in the store. */
export const policyInfo = policyInput.extend({ id: z.string(), description: z.string(), ...changed }).meta({ id: "Policy" });

/** A role. */
export const roleInfo = z
  .strictObject({ name: z.string(), builtIn: z.boolean(), does: z.string(), actions: list(z.string()), policies: list(z.string()) })
  .meta({ id: "Role" });

/** Why somebody may do something, or may not. */
export const explanation = z
  .strictObject({
    outcome: z.enum([...policyEffects, "masked"]),
    policy: z.exactOptional(z.string()),
    masked: z.exactOptional(z.strictObject({ policy: z.string(), mask: z.string() }).readonly()),
    reason: z.string(),
    subjects: list(z.string()),
    considered: list(
      z.strictObject({
        policy: z.string(),
        effect: z.enum(policyEffects),
        subject: z.string(),
        applies: z.boolean(),
        why: z.exactOptional(z.string()),
        mask: z.exactOptional(z.string()),
      }),
    ),
    missing: z.exactOptional(z.string()),
  })
  .meta({ id: "Explanation" });

/** What an explanation is about. */
export const question = z.strictObject({
  principal: subject,
  action: z
    .string()
    .min(1)
    .max(64)
    .meta({ examples: actionNames.slice(0, 3) }),
  key: z.exactOptional(pattern),
  purpose: z.exactOptional(pattern),
  dataset: z.exactOptional(pattern),
  context: z.exactOptional(z.record(z.string().max(255), z.string().max(4096)).readonly()),
  also: z.exactOptional(z.array(subject).max(100).readonly()),
});

const roles = z.array(z.string().min(1).max(128)).max(100).readonly();

/** What may be set of a principal; what is absent stays. */
export const principalSettings = z.strictObject({
  roles: z.exactOptional(roles),
  disabled: z.exactOptional(z.boolean()),
  description: z.exactOptional(z.string().max(500)),
});

/** What the store says about a principal. */
export const principalInfo = z
  .strictObject({ subject: z.string(), roles: list(z.string()), disabled: z.boolean(), description: z.string(), ...changed })
  .meta({ id: "Principal" });

const scope = z
  .strictObject({
    actions: z.exactOptional(z.array(z.string().max(64)).max(100).readonly()),
    keys: z.exactOptional(z.array(z.string().max(255)).max(100).readonly()),
    purposes: z.exactOptional(z.array(z.string().max(255)).max(100).readonly()),
  })
  .meta({ id: "Scope" });

/** What a new token is to be. */
export const tokenInput = z.strictObject({
  name: z.string().min(1).max(128),
  roles: z.exactOptional(roles),
  scope: z.exactOptional(scope),
  expiresAt: z.exactOptional(instant),
});

/** A token, without its secret. */
export const tokenInfo = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    roles: list(z.string()),
    scope,
    createdAt: z.string(),
    createdBy: z.string(),
    expiresAt: z.string(),
    state: z.enum(["good", "revoked", "expired", "of somebody who is disabled"]),
    revokedAt: z.exactOptional(z.string()),
    revokedBy: z.exactOptional(z.string()),
  })
  .meta({ id: "Token" });

/** A token that was just made: its secret is shown this once. */
export const createdToken = tokenInfo.extend({ token: z.string() }).meta({ id: "CreatedToken" });

export const approvalState = z.enum(approvalStates);

/** Something that needs a second person. */
export const approvalInfo = z
  .strictObject({
    id: z.string(),
    state: approvalState,
    requester: z.string(),
    person: z.string(),
    action: z.string(),
    act: z.record(z.string(), z.unknown()).readonly(),
    policy: z.string(),
    requestedAt: z.string(),
    expiresAt: z.string(),
    decidedAt: z.exactOptional(z.string()),
    decidedBy: z.exactOptional(z.string()),
    decisionReason: z.exactOptional(z.string()),
  })
  .meta({ id: "Approval" });

/** Whom the server takes a caller for. */
export const callerInfo = z
  .strictObject({ principal: z.string(), name: z.exactOptional(z.string()), roles: list(z.string()), scope })
  .meta({ id: "Caller" });

/** Findings of the doctor. */
export const diagnosis = z
  .strictObject({ check: z.string(), status: z.enum(["good", "warning", "failed"]), message: z.string() })
  .meta({ id: "Diagnosis" });
