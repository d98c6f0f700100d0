import { KeysteadError } from "../errors.ts";
import { anyTag } from "../keys/entity-tag.ts";

const strongTag = /^"([\x21\x23-\x7e]{1,256})"$/;

/**
 * The tag that `If-Match` asks for, without its quotes; `*` when it takes any (RFC 9110, 13.1.1).
 * @throws KeysteadError `INVALID_ARGUMENT` for several tags; `PRECONDITION_FAILED` for one that never matches: a weak one, or `"*"` in quotes
 */
export function expectedTag(ifMatch: string): string {
  const text = ifMatch.trim();
  if (text === anyTag) return anyTag;
  const tag = strongTag.exec(text)?.[1];
  if (tag === anyTag)
    throw new KeysteadError("PRECONDITION_FAILED", 'If-Match has the tag "*", which nothing has; send * without quotes to take any');
  if (tag !== undefined) return tag;
  if (/^W\/"[^"]*"$/.test(text))
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
