import { type Dispatcher, errors } from "undici";
import { type ErrorCode, errorCodes, isErrorCode, KeysteadError } from "../errors.ts";

/** A failure as callers see it, and how many milliseconds the server asks to wait. */
export interface Failure {
  readonly error: KeysteadError;
  readonly retryAfter?: number;
}

/** The failure of an answer that is a problem. */
class ProblemAnswer extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.error.message);
    this.failure = failure;
  }
}

/** An answer that ends before its end, where nothing but its text tells. */
class TornAnswer extends Error {}

const longestAnswer = 64 * 1024 * 1024;

/** What a proxy says of a server that it can't reach, or in the place of one: the code, and what to do. */
const byProxies: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  429: ["RATE_LIMITED", "what stands in front of the server takes no more calls now; call less often"],
  502: ["SERVER_UNREACHABLE", "what stands in front of the server can't reach it; check the server and its proxy"],
  503: ["SERVER_UNREACHABLE", "what stands in front of the server can't reach it; check the server and its proxy"],
  504: ["SERVER_UNREACHABLE", "what stands in front of the server waited in vain for it; check the server and its proxy"],
};

/** Reasons for which nothing of a call was sent: no address, no connection, no trust. */
const beforeSending = /^(?:ECONNREFUSED|ENOTFOUND|EAI_|EHOST|ENET|UND_ERR_CONNECT_)|CERT|ISSUER|TLS|SSL/;

/** What a call failed with, as its caller is told. Nothing of an answer is in it but what a problem says. */
export function failureOf(error: unknown, signal: AbortSignal | undefined, isRepeatable = true): Failure {
  if (error instanceof ProblemAnswer) return error.failure;
  if (signal?.aborted === true) return { error: cancelled(error) };
  if (error instanceof KeysteadError) return { error };
  const reason = reasonOf(error);
  const doubt = isRepeatable || beforeSending.test(reason) ? "" : "; it may have done what it was asked: look before you ask again";
  const message = `the server did not answer (${reason}); check its address, its certificate and the network${doubt}`;
  // What is no HTTP is kept in the parser's error, and may be part of an answer.
  const cause = error instanceof errors.HTTPParserError ? undefined : error;
  return { error: new KeysteadError("SERVER_UNREACHABLE", message, { cause }) };
}

/** What a caller is told that ended its call. */
export function cancelled(cause: unknown): KeysteadError {
  return new KeysteadError("CANCELLED", "the call was stopped by its caller", { cause });
}

/** True for what may be gone when the same is asked again. */
export function mayPass({ code }: KeysteadError): boolean {
  return code === "SERVER_UNREACHABLE" || code === "RATE_LIMITED" || errorCodes[code].exit === errorCodes.STORE_BUSY.exit;
}

/** As {@link mayPass}, for who can wait for minutes: also what lasts until a database or a disk is there again. */
export function mayPassLater(error: KeysteadError): boolean {
  return mayPass(error) || error.code === "STORE_FAILED" || error.code === "AUDIT_UNAVAILABLE";
}

/** The failure that an answer says; to be thrown. */
export async function readProblem(response: Dispatcher.ResponseData): Promise<Error> {
  const error = problemError(parseJson(await readText(response.body)), response.statusCode);
  const after = response.headers["retry-after"];
  return new ProblemAnswer({ error, ...(typeof after === "string" && /^\d+$/.test(after) && { retryAfter: Number(after) * 1_000 }) });
}

/** The error that a problem says. @param status of an answer; absent for what came within one */
export function problemError(problem: unknown, status?: number): KeysteadError {
  const { code, detail } = { code: undefined, detail: undefined, ...(typeof problem === "object" ? problem : {}) };
  if (isErrorCode(code) && typeof detail === "string") return new KeysteadError(code, detail);
  const byProxy = status === undefined ? undefined : byProxies[status];
  if (byProxy !== undefined) return new KeysteadError(byProxy[0], `status ${String(status)}: ${byProxy[1]}`);
  const said = status === undefined ? "an event that is no problem" : `status ${String(status)}`;
  return new KeysteadError("INTERNAL", `the server answered ${said} without a problem that this version knows; is it a Keystead server?`);
}

/** Undefined for what is no JSON: what the parser says of it repeats it. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * An answer as JSON, undefined for what is none.
 * @throws what {@link failureOf} makes `SERVER_UNREACHABLE` of, for an object that has no end; KeysteadError `TOO_LARGE`
 */
export async function readJson({ body }: Dispatcher.ResponseData): Promise<unknown> {
  const text = await readText(body);
  const answer = parseJson(text);
  if (answer === undefined && text.startsWith("{")) throw new TornAnswer();
  return answer;
}

/** An answer as text. @throws KeysteadError `TOO_LARGE` for more than 64 MiB */
export async function readText(body: Dispatcher.ResponseData["body"]): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    const bytes: unknown = chunk;
    if (!Buffer.isBuffer(bytes)) continue;
    length += bytes.length;
    if (length > longestAnswer) throw new KeysteadError("TOO_LARGE", "the server's answer is longer than 64 MiB; ask for less at once");
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The code that the system or the client gives: never an address's credentials, which it has none of. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.HTTPParserError) return "what came is no HTTP";
  if (error instanceof TornAnswer) return "its answer was cut off";
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  return typeof code === "string" ? code : "no reason given";
}
