import { KeysteadError } from "../errors.ts";

// What RFC 3986 lets stand in a segment as it is, but for `;`, which some servers and proxies cut a path at.
const normalSegment = /^(?:[A-Za-z0-9\-._~!$&'()*+,=:@]|%[0-9A-Fa-f]{2})*$/;
// And control characters, which no name has.
const wronglyEncoded = /%(?:[01][0-9a-fA-F]|7[fF]|2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])/;
const plainTarget = /^(?:\/|(?:\/(?=[A-Za-z0-9])[A-Za-z0-9\-._~]+)+)$/;

/** What is wrong with the target of a request, as its first line has it; undefined when it can mean one address only. */
export function targetProblem(target: string, longest: number): KeysteadError | undefined {
  if (target.length > longest) return new KeysteadError("TOO_LARGE", `the address is longer than ${longest} bytes; send less in it`);
  // Nearly all addresses.
  if (plainTarget.test(target)) return undefined;
  const end = target.indexOf("?");
  const path = end === -1 ? target : target.slice(0, end);
  return isNormal(path)
    ? undefined
    : new KeysteadError(
        "INVALID_ARGUMENT",
        "the address is not in normal form: begin it with one /, leave out empty segments, dots, semicolons and a / at the end, and encode nothing but what must be",
      );
}

/**
 * True for a path that every proxy reads as this server does: no scheme and host, no empty or dotted segment, no `;`, and no character
 * encoded that need not be.
 */
function isNormal(path: string): boolean {
  if (!path.startsWith("/")) return false;
  return path
    .slice(1)
    .split("/")
    .every(
      (segment) => segment !== "" && segment !== "." && segment !== ".." && normalSegment.test(segment) && !wronglyEncoded.test(segment),
    );
}
