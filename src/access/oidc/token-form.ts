import { z } from "zod";

const signedForm = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)\.[A-Za-z0-9_-]*$/;
const headerSchema = z.object({ alg: z.string(), kid: z.string().max(255).exactOptional(), typ: z.string().max(64).exactOptional() });
const payloadSchema = z.object({ iss: z.string() });

/** What is read of a token's header. Keys and addresses in it (`jwk`, `jku`, `x5c`, `x5u`) are not. */
export type TokenHeader = z.output<typeof headerSchema>;

/** What a token says of itself, before anything of it is verified. */
export interface UnverifiedToken {
  readonly header: TokenHeader;
  /** Its issuer; undefined when it names none. */
  readonly issuer: string | undefined;
}

/** Takes a token apart. Undefined when it is no signed JWT (RFC 7519, compact form). */
export function readToken(token: string): UnverifiedToken | undefined {
  const [, header = "", payload = ""] = signedForm.exec(token) ?? [];
  const checked = headerSchema.safeParse(parseObject(header));
  if (!checked.success) return undefined;
  return { header: checked.data, issuer: payloadSchema.safeParse(parseObject(payload)).data?.iss };
}

function parseObject(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}
