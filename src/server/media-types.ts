import { KeysteadError } from "../errors.ts";

/** Media types of the server's answers and requests. */
export const mediaTypes = { json: "application/json", ndjson: "application/x-ndjson", events: "text/event-stream" } as const;

/** A media type of text, with its charset. */
export function inUtf8(type: string): string {
  return `${type}; charset=utf-8`;
}

const charset = /^; ?charset="?utf-8"?$/i;

/** @throws KeysteadError `UNSUPPORTED_MEDIA_TYPE` for a body of another type, or in another encoding than UTF-8 */
export function assertContentType(contentType: string | undefined, contentEncoding: string | undefined, wanted: string): void {
  if (contentEncoding !== undefined && contentEncoding.toLowerCase() !== "identity")
    throw new KeysteadError("UNSUPPORTED_MEDIA_TYPE", "the body is compressed; send it as it is, without Content-Encoding");
  if (contentType === wanted) return;
  const type = contentType?.slice(0, wanted.length).toLowerCase();
  const rest = contentType?.slice(wanted.length).trim() ?? "";
  if (type === wanted && (rest === "" || charset.test(rest))) return;
  throw new KeysteadError("UNSUPPORTED_MEDIA_TYPE", `the body is not of a type that this address takes; send "Content-Type: ${wanted}"`);
}

/** @throws KeysteadError `NOT_ACCEPTABLE` when `Accept` takes no answer of this type */
export function assertAcceptable(accept: string | undefined, type: string): void {
  if (accept === undefined || accept === "*/*" || accept === type || accept.trim() === "") return;
  const [family = ""] = type.split("/");
  const ranges = new Set([type, `${family}/*`, "*/*"]);
  // The most specific range decides (RFC 9110, 12.5.1); of two that are equally specific the one that takes it.
  const fitting = accept
    .split(",")
    .map((range) => range.split(";").map((part) => part.trim().toLowerCase()))
    .filter(([range = ""]) => ranges.has(range));
  const specific = Math.max(...fitting.map(([range = ""]) => specificity(range)));
  if (fitting.some(([range = "", ...parameters]) => specificity(range) === specific && !parameters.some((parameter) => isZero(parameter))))
    return;
  throw new KeysteadError("NOT_ACCEPTABLE", `this address answers ${type}, which Accept does not take; send "Accept: ${type}"`);
}

function specificity(range: string): number {
  if (range === "*/*") return 0;
  return range.endsWith("/*") ? 1 : 2;
}

function isZero(parameter: string): boolean {
  return /^q ?= ?0(?:\.0*)?$/.test(parameter);
}
