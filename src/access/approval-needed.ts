import { KeysteadError } from "../errors.ts";

/** Thrown by access control for what is allowed once a second person approves of it. */
export class ApprovalNeeded extends KeysteadError {
  /** The policy that asks for it. */
  readonly policy: string;

  constructor(policy: string) {
    super("APPROVAL_REQUIRED", `policy ${policy} asks for a second person: make the call where approvals are kept`);
    this.policy = policy;
  }
}
