/** Something that keeps the audit from working. */
export interface AuditProblem {
  /** `journal`, `store`, `checkpoints`, `witness`, or the name of a sink. */
  readonly where: string;
  readonly cause: unknown;
  /** The journal or the sink has neither taken nor refused what it was given. Until it does, the process may not end by itself. */
  readonly hangs?: true;
}
