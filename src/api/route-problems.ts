import type { ErrorCode } from "../errors.ts";
import type { AnyRoute } from "./route.ts";

/** What keeps a KEK from wrapping and unwrapping. */
const kek = ["UNKNOWN_KEK", "KEK_FAILED", "KEK_TIMEOUT", "WRONG_MASTER_KEY", "INSECURE_FILE"] as const;

/** What keeps the version of a key from being used. */
const use = [
  "UNKNOWN_KEY",
  "UNKNOWN_KEY_VERSION",
  "KEY_STATE",
  "KEY_USAGE",
  "KEY_VERSION_EXPIRED",
  "KEY_VERSION_NOT_LOADED",
  ...kek,
] as const;

const tagging = ["UNKNOWN_PURPOSE", ...use] as const;
const sealing = ["UNKNOWN_DATASET", "KEY_BUDGET_EXHAUSTED", "KEY_BUDGET_NOT_LEASED", ...tagging] as const;
const opening = ["MALFORMED_CIPHERTEXT", "DECRYPTION_FAILED", "UNKNOWN_FINGERPRINT", ...use] as const;

/** What keeps stored rows from being read and counted. */
const rows = ["UNKNOWN_DATASET", "UNKNOWN_DATABASE", "DATABASE_FAILED", "DATASET_UNSUITABLE"] as const;
const registering = [...rows, ...tagging, "NAME_TAKEN", "CONFLICT", "JOB_INCOMPLETE"] as const;
const searching = [...rows, ...opening, "CONFLICT", "JOB_INCOMPLETE"] as const;
const moving = [...searching, ...sealing] as const;

/** Codes that several routes refuse calls with, by what these do. */
export const problems = { kek, use, tagging, sealing, opening, rows, registering, searching, moving } as const;

/** Whatever is asked: the request is wrong, or the server fails. */
const ofRequests: readonly ErrorCode[] = [
  "INVALID_ARGUMENT",
  "NOT_ACCEPTABLE",
  "REQUEST_TIMEOUT",
  "TOO_LARGE",
  "HEADERS_TOO_LARGE",
  "INTERNAL",
  "CLOSED",
];

/** Who is asked who it is may not, comes too often, or can't be recorded; what decides on it is in the store. */
const ofCallers: readonly ErrorCode[] = [
  "UNAUTHENTICATED",
  "ACCESS_DENIED",
  "APPROVAL_REQUIRED",
  "RATE_LIMITED",
  "OVERLOADED",
  "AUDIT_UNAVAILABLE",
  "AUDIT_TAMPERED",
  "INSECURE_FILE",
  "KEY_LEASE_EXPIRED",
  "STORE_BUSY",
  "STORE_NOT_FOUND",
  "STORE_READ_ONLY",
  "STORE_FULL",
  "STORE_FAILED",
  "STORE_SCHEMA_OLDER",
  "STORE_SCHEMA_NEWER",
  "STORE_RESTORED",
  "STORE_MOVED",
  "STORE_TAMPERED",
];

/** Those of most routes: of all who are asked who calls, and of those that take a body. */
export const usualCodes: ReadonlySet<ErrorCode> = new Set([...ofRequests, ...ofCallers, "UNSUPPORTED_MEDIA_TYPE"]);

const withBodies: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/** Every code that a route may answer: those that its row names, and those that follow from what else it says. */
export function problemsOf(route: AnyRoute): ReadonlySet<ErrorCode> {
  const { method, path, tagged, audit, stream } = route;
  return new Set([
    ...ofRequests,
    ...(audit === "service" ? ofCallers : []),
    ...(withBodies.has(method) ? (["UNSUPPORTED_MEDIA_TYPE"] as const) : []),
    ...(tagged && method !== "GET" ? (["PRECONDITION_FAILED"] as const) : []),
    // An empty parameter makes another address.
    ...(path.includes(":") ? (["NOT_FOUND"] as const) : []),
    // Events end with the server, also those that have not begun.
    ...(stream === "events" ? (["CANCELLED"] as const) : []),
    ...route.problems,
  ]);
}
