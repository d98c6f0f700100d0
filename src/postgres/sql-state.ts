/**
 * The code that PostgreSQL gives an error, five characters; undefined for an error that is not the server's.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function sqlState(error: unknown): string | undefined {
  const code = errorCode(error);
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** True when the connection is gone, or was never made: what was under way may or may not have happened. */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return state.startsWith("08") || lostStates.has(state);
  const code = errorCode(error);
  return (code !== undefined && socketCodes.has(code)) || (error instanceof Error && lostMessages.test(error.message));
}

/** Shut down by an administrator, crash of another session, starting up, too many connections. */
const lostStates: ReadonlySet<string> = new Set(["57P01", "57P02", "57P03", "57P05", "53300"]);
const socketCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT",
]);
/** What `pg` itself says; it gives these no code. */
const lostMessages =
  /^(?:Connection terminated|timeout e(?:xpired|xceeded)|Client has encountered a connection error|Client was closed|Query read timeout)/i;

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
