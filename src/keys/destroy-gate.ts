/** What the destroy gate is asked about. */
export interface DestructionTarget {
  readonly keyId: string;
  readonly keyName: string;
  readonly version: number;
  readonly label: string;
}

/** What was known about a version when its destruction was decided; part of the certificate. Instants are ISO 8601. */
export interface DestructionEvidence {
  /** The newest census of every dataset ever registered. */
  readonly censuses: readonly { readonly dataset: string; readonly takenAt: string; readonly count: number }[];
  /** Since when every census of every dataset has counted zero. */
  readonly zeroSince: string | null;
  readonly backupRetentionDays: number;
  readonly seals: { readonly inDatasets: number; readonly outsideDatasets: number };
  readonly opens: number;
  readonly lastOpenedAt: string | null;
  /** Attempts to open while destruction was pending. */
  readonly refusals: number;
  /** Blind-index generations that name the version. */
  readonly indexGenerations: readonly string[];
}

/** The gate's answer: an empty list of blockers lets the destruction go on. Each blocker names its remedy. */
export interface GateFinding {
  readonly blockers: readonly string[];
  readonly evidence: DestructionEvidence;
}

/** Says whether anything still needs a version. Takes a fresh census; an unreachable dataset is a blocker. */
export interface DestroyGate {
  examine(target: DestructionTarget, moment: "schedule" | "execute"): Promise<GateFinding>;
}
