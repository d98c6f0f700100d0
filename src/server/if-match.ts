import { KeysteadError } from "../errors.ts";

const strongTag = /^"([\x21\x23-\x7e]{1,256})"$/;

/**
 * The tag that `If-Match` asks for, without its quotes; undefined when it takes any.
 * @throws KeysteadError `INVALID_ARGUMENT` for several tags; `PRECONDITION_FAILED` for a weak one, which never matches (RFC 9110, 13.1.1)
 */
export function expectedTag(ifMatch: string | undefined): string | undefined {
  if (ifMatch === undefined || ifMatch.trim() === "*") return undefined;
  const tag = strongTag.exec(ifMatch.trim())?.[1];
  if (tag !== undefined) return tag;
  if (/^W\/"[^"]*"$/.test(ifMatch.trim()))
    throw new KeysteadError("PRECONDITION_FAILED", "If-Match has a weak tag, which never matches; send the ETag as it was answered");
  throw new KeysteadError("INVALID_ARGUMENT", "If-Match is not one tag in quotes; send the ETag as it was answered");
}

/** True when `If-None-Match` says that the client has the answer with this tag already. */
export function isKnown(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(",").some((candidate) => {
    const text = candidate.trim();
    return text === "*" || text === `"${tag}"` || text === `W/"${tag}"`;
  });
}
