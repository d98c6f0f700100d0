import { z } from "zod";
import { list, texts } from "./common.ts";

const versionPhase = z.enum(["pre-active", "active", "suspended", "deactivated", "destruction-pending", "compromised", "destroyed"]);

/** A key version. */
const versionInfo = z.strictObject({
  version: z.int(),
  label: z.string(),
  state: versionPhase,
  current: z.boolean(),
  stateSince: z.string(),
  stateReason: z.string(),
  createdAt: z.string(),
  activateAt: z.exactOptional(z.string()),
  expiresAt: z.exactOptional(z.string()),
  destroyAt: z.exactOptional(z.string()),
});

/** A key with its versions; instants are ISO 8601, UTC. */
export const keyInfo = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    purpose: z.string(),
    usages: list(z.string()),
    algorithm: z.string(),
    tags: texts,
    aliases: list(z.string()),
    rotationDays: z.exactOptional(z.int()),
    rotationDue: z.exactOptional(z.string()),
    currentVersion: z.exactOptional(z.int()),
    createdAt: z.string(),
    versions: list(versionInfo),
  })
  .meta({ id: "Key" });

/** Counted use of a version. */
export const versionUsage = z
  .strictObject({
    sealsInDatasets: z.int(),
    sealsOutsideDatasets: z.int(),
    opens: z.int(),
    lastOpenedAt: z.string().nullable(),
    refusals: z.int(),
    lastRefusedAt: z.string().nullable(),
  })
  .meta({ id: "VersionUsage" });

/** Signed proof of a destruction. */
export const destructionCertificate = z
  .strictObject({
    statement: z.string(),
    signer: z.string(),
    publicKey: z.string(),
    signature: z.string(),
  })
  .meta({ id: "DestructionCertificate" });

/** Where a destruction stands. */
export const destructionStatus = z
  .discriminatedUnion("status", [
    z.strictObject({ status: z.literal("scheduled"), label: z.string(), executeAfter: z.string() }),
    z.strictObject({ status: z.literal("destroyed"), label: z.string(), certificate: destructionCertificate, scrubbed: z.boolean() }),
  ])
  .meta({ id: "DestructionStatus" });

/** A registered purpose. */
export const purposeInfo = z
  .strictObject({
    name: z.string(),
    description: z.string(),
    defaultKey: z.exactOptional(z.string()),
    rotationDays: z.exactOptional(z.int()),
    algorithms: list(z.string()),
    hardware: z.boolean(),
  })
  .meta({ id: "Purpose" });

/** Which KEK wraps which keys. */
export const routeInfo = z
  .strictObject({
    purpose: z.exactOptional(z.string()),
    namePrefix: z.exactOptional(z.string()),
    kekUri: z.string(),
  })
  .meta({ id: "Route" });

/** A KEK of the store. */
export const kekInfo = z
  .strictObject({
    uri: z.string(),
    kekId: z.string(),
    wraps: z.int(),
    available: z.boolean(),
    problem: z.exactOptional(z.string()),
    createdAt: z.string(),
  })
  .meta({ id: "Kek" });

/** Settings that live in the store. */
export const settings = z
  .strictObject({
    refreshBound: z.int(),
    destructionWaitingDays: z.int(),
    backupRetentionDays: z.int(),
    restoredAt: z.int(),
    copiedAt: z.int(),
  })
  .meta({ id: "Settings" });
