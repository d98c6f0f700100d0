import { z } from "zod";

/** Signature algorithms that a token may use. Those with a shared secret, and `none`, can't be had. */
const tokenAlgorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"] as const;

const loopback: ReadonlySet<string> = new Set(["127.0.0.1", "[::1]", "localhost"]);

/** True for an address that may be asked: `https:`, or `http:` to this machine where that is allowed. */
export function isProviderAddress(text: string, allowHttpLoopback: boolean): boolean {
  const url = URL.parse(text);
  if (url?.username !== "" || url.password !== "" || url.hash !== "") return false;
  return url.protocol === "https:" || (allowHttpLoopback && url.protocol === "http:" && loopback.has(url.hostname));
}

const address = z.string().max(2_048);
const words = z.string().min(1).max(255);
// Without "=", which ends the name in a policy's subject: claim:NAME=VALUE.
const segment = z.string().regex(/^[^=\p{Cc}\p{Cs}]{1,255}$/u, "is 1 to 255 characters without '=' and control characters");
const claimPath = z.union([segment.transform((path) => path.split(".")), z.array(segment).min(1).max(8)], {
  error: "must be a path such as realm_access.roles, or a list of names",
});
const seconds = (least: number, most: number): z.ZodNumber => z.number().min(least).max(most);

const introspectionSchema = z.strictObject({
  clientId: words.describe("Client by which Keystead asks."),
  clientSecretFile: z.string().min(1).describe("File with the client's secret, mode 0600."),
  uri: address.optional().describe("Address to ask. From discovery when absent, and then on the issuer's own host."),
  cacheSeconds: seconds(0, 60).default(5).describe("How long an answer counts: a revoked token is refused after that. 0: every call asks."),
});

const issuerSchema = z
  .strictObject({
    issuer: address.describe("The issuer, exactly as in the tokens' `iss`."),
    audience: z
      .union([words.transform((one) => [one]), z.array(words).min(1).max(16)])
      .describe("Who the tokens must be for: one of these must be in their `aud`."),
    algorithms: z
      .array(z.enum(tokenAlgorithms))
      .min(1)
      .default([...tokenAlgorithms])
      .describe("Signature algorithms that are accepted. All with a public key when absent."),
    clockSkewSeconds: z.int().min(0).max(300).default(30).describe("How far the issuer's clock may be off."),
    nameClaim: claimPath.prefault("preferred_username").describe("Claim with a name for readers of the audit; it decides nothing."),
    claims: z
      .array(claimPath)
      .max(32)
      .optional()
      .describe(
        "Claims that policies see. When absent: `realm_access.roles`, `resource_access.AUDIENCE.roles`, `groups`, `roles`, `scope`, `scp`, `azp`, `client_id`.",
      ),
    requiredClaims: z
      .record(segment, z.union([words.transform((one) => [one]), z.array(words).min(1).max(64)]))
      .default({})
      .describe("Claims that a token must have, each with one of these values."),
    jwksUri: address.optional().describe("Address of the issuer's public keys. From discovery when absent."),
    introspection: introspectionSchema.optional().describe("Ask the issuer whether a token still counts (RFC 7662)."),
    ca: z.string().min(1).optional().describe("File with the authorities (PEM) that alone vouch for the issuer's certificate."),
    timeoutSeconds: seconds(0.1, 60).default(5).describe("How long an answer of the issuer may take."),
    allowHttpLoopback: z.boolean().default(false).describe("Allow `http:` to an issuer on this machine. For trying it out."),
  })
  .superRefine((settings, context) => {
    const { allowHttpLoopback, issuer, jwksUri, introspection } = settings;
    const addresses: readonly (readonly [path: string[], address: string | undefined])[] = [
      [["issuer"], issuer],
      [["jwksUri"], jwksUri],
      [["introspection", "uri"], introspection?.uri],
    ];
    for (const [path, text] of addresses) {
      if (text === undefined || isProviderAddress(text, allowHttpLoopback)) continue;
      context.addIssue({ code: "custom", path, message: "must be an https address without user and fragment" });
    }
    if (URL.parse(issuer)?.search !== "")
      context.addIssue({ code: "custom", path: ["issuer"], message: "must have no query: give the issuer as its tokens do" });
  });

/**
 * Issuers of tokens, each under a local name that becomes part of its principals' ids (`main:SUBJECT`), so it must not be changed later.
 */
export const oidcIssuersSchema = z
  .record(z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, "is 1 to 32 of a-z, 0-9, '-', beginning with a letter"), issuerSchema)
  .superRefine((issuers, context) => {
    const seen = new Set<string>();
    for (const [name, { issuer }] of Object.entries(issuers)) {
      if (seen.has(issuer))
        context.addIssue({ code: "custom", path: [name, "issuer"], message: "is there twice: name its audiences in one entry" });
      seen.add(issuer);
    }
  });

/** Settings of all issuers by local name, as a person writes them. */
export type OidcIssuersInput = z.input<typeof oidcIssuersSchema>;

/** Checked settings of all issuers by local name. */
export type OidcIssuers = z.output<typeof oidcIssuersSchema>;

/** Checked settings of one issuer. */
export type OidcIssuerSettings = OidcIssuers[string];
