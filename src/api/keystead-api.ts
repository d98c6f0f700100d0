import type { KeysteadCall } from "../keystead/keystead-view.ts";

/** The public side of a class: what another class can be in its place. */
type PublicSide<T> = Pick<T, keyof T>;

/** Services that answer alike wherever the engine is. */
type ServiceName =
  | "keys"
  | "purposes"
  | "routes"
  | "keks"
  | "settings"
  | "jobs"
  | "backgroundJobs"
  | "dataKeys"
  | "metrics"
  | "leases"
  | "policies"
  | "principals"
  | "approvals";

/** Calls on data that answer alike wherever the engine is. */
export type DataCall =
  | "encrypt"
  | "encryptValue"
  | "encryptMany"
  | "decrypt"
  | "decryptText"
  | "decryptValue"
  | "decryptMany"
  | "reveal"
  | "revealMany"
  | "rewrap"
  | "rewrapMany"
  | "mac"
  | "macMany"
  | "verifyMac"
  | "verifyMacMany"
  | "hash"
  | "hashMany"
  | "randomBytes"
  | "randomBytesMany";

/**
 * What a caller can do, wherever the engine is: the embedded `Keystead` has it, and so has `KeysteadClient`. Code moves from one to the
 * other by changing one line.
 */
export type KeysteadApi = Pick<KeysteadCall, DataCall | "whoami"> & {
  readonly [Name in ServiceName]: PublicSide<KeysteadCall[Name]>;
} & {
  readonly datasets: Omit<PublicSide<KeysteadCall["datasets"]>, "recordDefinition">;
  readonly audit: Pick<KeysteadCall["audit"], "show" | "page" | "report" | "verify" | "signers" | "export">;
  readonly tokens: Pick<KeysteadCall["tokens"], "create" | "list" | "revoke">;
  readonly doctor: Pick<KeysteadCall["doctor"], "examine">;
};
