/**
 * The one error class of Keystead and the table of its codes.
 *
 * A code is stable: programs may branch on it. `status` is the HTTP status, `exit` the exit code of the command line.
 * Messages name the remedy and never carry a secret or a value.
 */
export const errorCodes = {
  INVALID_ARGUMENT: { status: 400, exit: 2 },
  REASON_REQUIRED: { status: 400, exit: 2 },
  MALFORMED_CIPHERTEXT: { status: 400, exit: 3 },
  DECRYPTION_FAILED: { status: 400, exit: 3 },
  VERIFICATION_FAILED: { status: 400, exit: 3 },
  UNAUTHENTICATED: { status: 401, exit: 4 },
  ACCESS_DENIED: { status: 403, exit: 4 },
  APPROVAL_REQUIRED: { status: 403, exit: 4 },
  UNKNOWN_ALGORITHM: { status: 400, exit: 5 },
  UNKNOWN_KEY: { status: 404, exit: 5 },
  UNKNOWN_KEY_VERSION: { status: 404, exit: 5 },
  UNKNOWN_FINGERPRINT: { status: 404, exit: 5 },
  UNKNOWN_PURPOSE: { status: 404, exit: 5 },
  UNKNOWN_DATASET: { status: 404, exit: 5 },
  UNKNOWN_DATABASE: { status: 404, exit: 5 },
  UNKNOWN_JOB: { status: 404, exit: 5 },
  UNKNOWN_CODEC: { status: 404, exit: 5 },
  UNKNOWN_KEK: { status: 404, exit: 5 },
  UNKNOWN_ROLE: { status: 404, exit: 5 },
  UNKNOWN_POLICY: { status: 404, exit: 5 },
  UNKNOWN_PRINCIPAL: { status: 404, exit: 5 },
  UNKNOWN_TOKEN: { status: 404, exit: 5 },
  UNKNOWN_APPROVAL: { status: 404, exit: 5 },
  UNKNOWN_LEASE: { status: 404, exit: 5 },
  NOT_FOUND: { status: 404, exit: 5 },
  METHOD_NOT_ALLOWED: { status: 405, exit: 2 },
  NOT_ACCEPTABLE: { status: 406, exit: 2 },
  REQUEST_TIMEOUT: { status: 408, exit: 7 },
  TOO_LARGE: { status: 413, exit: 2 },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, exit: 2 },
  PRECONDITION_FAILED: { status: 412, exit: 6 },
  RATE_LIMITED: { status: 429, exit: 7 },
  HEADERS_TOO_LARGE: { status: 431, exit: 2 },
  OVERLOADED: { status: 503, exit: 7 },
  SERVER_UNREACHABLE: { status: 503, exit: 7 },
  NAME_TAKEN: { status: 409, exit: 6 },
  CONFLICT: { status: 409, exit: 6 },
  KEY_STATE: { status: 409, exit: 6 },
  KEY_USAGE: { status: 409, exit: 6 },
  KEY_VERSION_EXPIRED: { status: 409, exit: 6 },
  KEY_BUDGET_EXHAUSTED: { status: 409, exit: 6 },
  VERSION_IN_USE: { status: 409, exit: 6 },
  DESTRUCTION_WAITING: { status: 409, exit: 6 },
  DATASET_UNSUITABLE: { status: 409, exit: 6 },
  JOB_INCOMPLETE: { status: 409, exit: 6 },
  KEY_VERSION_NOT_LOADED: { status: 503, exit: 7 },
  KEY_BUDGET_NOT_LEASED: { status: 503, exit: 7 },
  KEY_LEASE_EXPIRED: { status: 503, exit: 7 },
  STORE_BUSY: { status: 503, exit: 7 },
  STORE_NOT_FOUND: { status: 503, exit: 8 },
  STORE_EXISTS: { status: 409, exit: 8 },
  STORE_READ_ONLY: { status: 503, exit: 8 },
  STORE_FULL: { status: 507, exit: 8 },
  STORE_FAILED: { status: 503, exit: 8 },
  STORE_SCHEMA_OLDER: { status: 503, exit: 8 },
  STORE_SCHEMA_NEWER: { status: 503, exit: 8 },
  STORE_RESTORED: { status: 409, exit: 8 },
  STORE_MOVED: { status: 409, exit: 8 },
  STORE_TAMPERED: { status: 500, exit: 9 },
  AUDIT_TAMPERED: { status: 500, exit: 9 },
  AUDIT_UNAVAILABLE: { status: 503, exit: 8 },
  WRONG_MASTER_KEY: { status: 503, exit: 10 },
  INSECURE_FILE: { status: 503, exit: 10 },
  KEK_FAILED: { status: 502, exit: 10 },
  KEK_TIMEOUT: { status: 504, exit: 10 },
  DATABASE_FAILED: { status: 502, exit: 11 },
  CANCELLED: { status: 499, exit: 12 },
  CLOSED: { status: 503, exit: 1 },
  INTERNAL: { status: 500, exit: 1 },
} as const satisfies Record<string, { readonly status: number; readonly exit: number }>;

/** A stable error code: a key of {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes;

/** True for a code of the table, whoever says it. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(errorCodes, code);
}

/**
 * Every failure that Keystead reports.
 *
 * @example
 * try { await keystead.encrypt("pii-email", "anna@example.org"); }
 * catch (error) { if (error instanceof KeysteadError && error.code === "KEY_VERSION_EXPIRED") … }
 */
export class KeysteadError extends Error {
  override readonly name = "KeysteadError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }

  /** HTTP status of the code. */
  get status(): number {
    return errorCodes[this.code].status;
  }

  /** Exit code of the command line for the code. */
  get exitCode(): number {
    return errorCodes[this.code].exit;
  }
}

/** True for a {@link KeysteadError}, with that code when one is given. */
export function isKeysteadError(error: unknown, code?: ErrorCode): error is KeysteadError {
  return error instanceof KeysteadError && (code === undefined || error.code === code);
}
