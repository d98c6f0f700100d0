import type { IncomingMessage } from "node:http";
import { maxTokenLength } from "../access/authenticator.ts";
import { KeysteadError } from "../errors.ts";

const credential = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i;

/**
 * The bearer token of a request; undefined when it has none.
 * @throws KeysteadError `UNAUTHENTICATED` when it has several, or something else in its place
 */
export function bearerToken({ headers, rawHeaders }: IncomingMessage): string | undefined {
  const { authorization } = headers;
  if (authorization === undefined) return undefined;
  // Node keeps the first of several.
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    if (name.length === "authorization".length && name.toLowerCase() === "authorization") count++;
  }
  if (count > 1) throw refused("the request has several Authorization headers; send one");
  const token = authorization.length > maxTokenLength + 16 ? undefined : credential.exec(authorization)?.[1];
  if (token === undefined || token.length > maxTokenLength)
    throw refused(
      `the Authorization header is not a bearer token of at most ${maxTokenLength} characters; send "Authorization: Bearer TOKEN"`,
    );
  return token;
}

function refused(message: string): KeysteadError {
  return new KeysteadError("UNAUTHENTICATED", message);
}
