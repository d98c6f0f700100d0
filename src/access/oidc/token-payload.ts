import { z } from "zod";
import type { Caller } from "../caller.ts";
import { isPrincipal } from "../access-control.ts";
import type { Principal } from "../principal.ts";
import { type ClaimPath, claimsAt, defaultClaims, valuesAt } from "./claims.ts";
import { refused } from "./refused.ts";
import type { OidcIssuerSettings } from "./settings.ts";
import type { TokenHeader } from "./token-form.ts";

const payloadSchema = z.looseObject({
  sub: z.string().min(1).max(255),
  /** Seconds. */
  exp: z.number(),
  iat: z.number().optional(),
  /** Of Keycloak: `Bearer`, `ID`, `Refresh`. */
  typ: z.string().optional(),
});

type Payload = z.output<typeof payloadSchema>;

const acceptedTypes: ReadonlySet<string> = new Set(["jwt", "at+jwt", "application/jwt", "application/at+jwt"]);
const accessTokenTypes: ReadonlySet<string> = new Set(["at+jwt", "application/at+jwt"]);
/** Claims that only ID tokens have. */
const idTokenClaims = ["nonce", "at_hash", "c_hash"] as const;

/** Who a verified token speaks for. */
export interface TokenBearer {
  readonly caller: Caller;
  readonly subject: string;
  /** Milliseconds. */
  readonly expiresAt: number;
}

/** Reads the callers of one issuer's tokens, whose signature, issuer, audience and times are verified. */
export class TokenReader {
  readonly #name: string;
  readonly #settings: OidcIssuerSettings;
  readonly #claims: readonly ClaimPath[];
  readonly #required: readonly (readonly [path: ClaimPath, values: readonly string[]])[];

  constructor(name: string, settings: OidcIssuerSettings) {
    this.#name = name;
    this.#settings = settings;
    this.#claims = settings.claims ?? defaultClaims(settings.audience);
    const known = new Map(this.#claims.map((path) => [path.join("."), path]));
    this.#required = Object.entries(settings.requiredClaims).map(([claim, values]) => [known.get(claim) ?? claim.split("."), values]);
  }

  /** @throws KeysteadError `UNAUTHENTICATED` */
  read(header: TokenHeader, claims: unknown, now: number): TokenBearer {
    const { data: payload } = payloadSchema.safeParse(claims);
    if (payload === undefined) throw refused("the token's sub, exp, iat or typ is missing or of the wrong type");
    assertAccessToken(header, payload);
    if (payload.iat !== undefined && payload.iat > Math.floor(now / 1_000) + this.#settings.clockSkewSeconds)
      throw refused("the token was issued in the future");
    for (const [path, values] of this.#required) {
      if (!valuesAt(payload, path).some((value) => values.includes(value)))
        throw refused(`the token's claim ${path.join(".")} has none of the required values`);
    }
    const caller = Object.freeze({ principal: this.#principalOf(payload), claims: Object.freeze(claimsAt(payload, this.#claims)) });
    return { caller, subject: payload.sub, expiresAt: payload.exp * 1_000 };
  }

  #principalOf(payload: Payload): Principal {
    const principal: Principal = { source: "oidc", id: `${this.#name}:${payload.sub}` };
    if (!isPrincipal(principal)) throw refused("the token's sub has control characters or is too long");
    const [name] = readableName(payload, this.#settings.nameClaim);
    const named = { ...principal, ...(name !== undefined && { name }) };
    return Object.freeze(named);
  }
}

/**
 * ID tokens say to an application who logged in, and aren't for services; what is bound to a key of its bearer is not for who merely has
 * it. Where a token doesn't say what it is, its audience decides.
 */
function assertAccessToken({ typ }: TokenHeader, payload: Payload): void {
  const type = typ?.toLowerCase();
  if (type !== undefined && !acceptedTypes.has(type)) throw refused("the token's header has another typ than JWT or at+jwt");
  const isBearer = payload.typ?.toLowerCase() === "bearer";
  if (payload.typ !== undefined && !isBearer) throw refused("the token's claim typ is not Bearer: it is no access token");
  const saysAccess = isBearer || (type !== undefined && accessTokenTypes.has(type));
  if (!saysAccess && idTokenClaims.some((claim) => Object.hasOwn(payload, claim))) throw refused("the token is an ID token");
  if (Object.hasOwn(payload, "cnf")) throw refused("the token is bound to a key or certificate of its bearer, which is not verified here");
}

/** A name that can't be shown is none. */
function readableName(payload: Payload, path: ClaimPath): readonly string[] {
  try {
    return valuesAt(payload, path);
  } catch {
    return [];
  }
}
