import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Clock } from "../../clock.ts";
import { KeysteadError } from "../../errors.ts";
import { checkFields } from "../../field-problem.ts";
import { readPrivateFile } from "../../private-file.ts";
import type { CacheUse } from "../../observer.ts";
import { type Authenticator, maxTokenLength } from "../authenticator.ts";
import type { Caller } from "../caller.ts";
import { type IssuerSecrets, OidcIssuer } from "./oidc-issuer.ts";
import { refused } from "./refused.ts";
import { type OidcIssuersInput, type OidcIssuerSettings, oidcIssuersSchema } from "./settings.ts";
import { readToken } from "./token-form.ts";
import { VerifiedToken } from "./verified-token.ts";

/** Verified tokens that are remembered; the one not used for longest goes. */
const maxVerifiedTokens = 10_000;
const maxSecretLength = 4_096;

/** What keeps an issuer's tokens from being verified. */
export interface IssuerProblem {
  /** Local name of the issuer. */
  readonly issuer: string;
  readonly cause: unknown;
}

/**
 * Principals from the bearer tokens of OpenID Connect issuers: signed JWTs (RFC 7519, RFC 9068). A token speaks for
 * `oidc:<issuer's local name>:<sub>`, with the claims that the settings name.
 *
 * A verified token is remembered by its SHA-256 for a minute at most, and never beyond its expiry: then `authenticate` answers at once.
 *
 * @example
 * const oidc = await OidcAuthenticator.open({ main: { issuer: "https://id.example.org/realms/main", audience: "keystead" } }, systemClock);
 * const caller = await oidc.authenticate(token);
 */
export class OidcAuthenticator implements Authenticator {
  /** How often a token was verified already. */
  readonly lookups: CacheUse = { hits: 0, misses: 0 };
  readonly #issuers: ReadonlyMap<string, OidcIssuer>;
  readonly #clock: Clock;
  /** By digest, the one used last at the end. */
  readonly #verified = new Map<string, VerifiedToken>();

  private constructor(issuers: ReadonlyMap<string, OidcIssuer>, clock: Clock) {
    this.#issuers = issuers;
    this.#clock = clock;
  }

  /**
   * Reads the files that the settings name. No issuer is asked before a token of it comes.
   * @throws KeysteadError `INVALID_ARGUMENT` naming the setting, `INSECURE_FILE` when others may read a client's secret
   */
  static async open(input: OidcIssuersInput, clock: Clock): Promise<OidcAuthenticator> {
    const checked = checkFields("the issuers", oidcIssuersSchema, input);
    if (checked.problem !== undefined) throw new KeysteadError("INVALID_ARGUMENT", `the settings of OpenID Connect: ${checked.problem}`);
    const issuers = new Map<string, OidcIssuer>();
    for (const [name, settings] of Object.entries(checked.data))
      issuers.set(settings.issuer, new OidcIssuer(name, settings, await readSecrets(name, settings), clock));
    return new OidcAuthenticator(issuers, clock);
  }

  /**
   * The caller of a signed JWT; undefined for anything else.
   * @throws KeysteadError `UNAUTHENTICATED`; `OVERLOADED` when the issuer's keys or its introspection can't be reached
   */
  authenticate(token: string): Promise<Caller | undefined> | Caller | undefined {
    if (!token.includes(".")) return undefined;
    if (token.length > maxTokenLength) return Promise.reject(refused(`the token is longer than ${String(maxTokenLength)} characters`));
    const digest = hash("sha256", token, "binary");
    const verified = this.#verified.get(digest);
    if (verified?.isFresh !== true) {
      this.lookups.misses += 1;
      return this.#verify(token, digest);
    }
    this.lookups.hits += 1;
    this.#remember(digest, verified);
    return verified.isConfirmed ? verified.caller : this.#confirm(token, verified);
  }

  /** Fetches the keys of every issuer where they are not fresh, and tries its introspection. @returns the problems of those that don't answer rightly */
  async examine(): Promise<readonly IssuerProblem[]> {
    const examined = await Promise.all(
      [...this.#issuers.values()].map(async (issuer) => ({ issuer: issuer.name, cause: await issuer.examine() })),
    );
    return examined.filter(({ cause }) => cause !== undefined);
  }

  /** Ends all connections to issuers. */
  async close(): Promise<void> {
    await Promise.all([...this.#issuers.values()].map((issuer) => issuer.close()));
  }

  async #verify(token: string, digest: string): Promise<Caller | undefined> {
    const unverified = readToken(token);
    if (unverified === undefined) return undefined;
    const issuer = this.#issuers.get(unverified.issuer ?? "");
    if (issuer === undefined) throw refused("the token's issuer is none of the configured ones");
    const verified = new VerifiedToken(issuer, await issuer.verify(token, unverified.header), this.#clock);
    this.#remember(digest, verified);
    return this.#confirm(token, verified);
  }

  async #confirm(token: string, verified: VerifiedToken): Promise<Caller> {
    await verified.confirm(token);
    return verified.caller;
  }

  #remember(digest: string, verified: VerifiedToken): void {
    this.#verified.delete(digest);
    this.#verified.set(digest, verified);
    if (this.#verified.size <= maxVerifiedTokens) return;
    const [oldest] = this.#verified.keys();
    if (oldest !== undefined) this.#verified.delete(oldest);
  }
}

async function readSecrets(name: string, { ca, introspection }: OidcIssuerSettings): Promise<IssuerSecrets> {
  return {
    ...(ca !== undefined && { authorities: await readAuthorities(name, ca) }),
    ...(introspection !== undefined && { clientSecret: await readClientSecret(name, introspection.clientSecretFile) }),
  };
}

async function readAuthorities(name: string, file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new KeysteadError("INVALID_ARGUMENT", `the ca file ${file} of the issuer "${name}" can't be read; see the cause`, { cause });
  });
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new KeysteadError("INVALID_ARGUMENT", `the ca file ${file} of the issuer "${name}" has no certificate in PEM form`);
}

async function readClientSecret(name: string, file: string): Promise<string> {
  const remedy = "write the secret of the client into it, mode 0600";
  const bytes = await readPrivateFile(file, maxSecretLength, { what: "client secret file", remedy, code: "INVALID_ARGUMENT" });
  const secret = bytes?.toString("utf8").trim() ?? "";
  bytes?.fill(0);
  if (secret !== "") return secret;
  throw new KeysteadError("INVALID_ARGUMENT", `the client secret file ${file} of the issuer "${name}" is empty or too long; ${remedy}`);
}
