import { errors, jwtVerify } from "jose";
import type { Clock } from "../../clock.ts";
import { isKeysteadError } from "../../errors.ts";
import { Introspection } from "./introspection.ts";
import { IssuerKeys } from "./issuer-keys.ts";
import { ProviderClient } from "./provider-client.ts";
import { ProviderMetadata } from "./provider-metadata.ts";
import { refused, unanswered } from "./refused.ts";
import type { OidcIssuerSettings } from "./settings.ts";
import type { TokenHeader } from "./token-form.ts";
import { type TokenBearer, TokenReader } from "./token-payload.ts";

/** What of an issuer's settings is in files. */
export interface IssuerSecrets {
  /** PEM. */
  readonly authorities?: string;
  readonly clientSecret?: string;
}

/** One issuer of the configuration: its keys, and what its tokens must say. */
export class OidcIssuer {
  readonly name: string;
  /** Milliseconds for which an answer of introspection counts; undefined without introspection. */
  readonly confirmationLasts: number | undefined;
  readonly #settings: OidcIssuerSettings;
  readonly #client: ProviderClient;
  readonly #keys: IssuerKeys;
  readonly #introspection: Introspection | undefined;
  readonly #reader: TokenReader;
  readonly #algorithms: ReadonlySet<string>;
  readonly #clock: Clock;

  constructor(name: string, settings: OidcIssuerSettings, { authorities, clientSecret }: IssuerSecrets, clock: Clock) {
    this.name = name;
    this.#settings = settings;
    this.#clock = clock;
    this.#client = new ProviderClient(settings, authorities);
    const metadata = new ProviderMetadata(settings, this.#client, clock);
    this.#keys = new IssuerKeys(metadata, this.#client, clock);
    this.#reader = new TokenReader(name, settings);
    this.#algorithms = new Set(settings.algorithms);
    const { introspection } = settings;
    if (introspection === undefined || clientSecret === undefined) return;
    this.#introspection = new Introspection(metadata, this.#client, introspection.clientId, clientSecret);
    this.confirmationLasts = introspection.cacheSeconds * 1_000;
  }

  /**
   * Verifies a token that names this issuer.
   * @throws KeysteadError `UNAUTHENTICATED`; `OVERLOADED` when the issuer's keys can't be had
   */
  async verify(token: string, header: TokenHeader): Promise<TokenBearer> {
    // Before anything is asked of anybody.
    if (!this.#algorithms.has(header.alg)) throw refused("the token is signed with an algorithm that is not accepted");
    const key = await this.#answered(this.#keys.find(header));
    if (key === undefined) throw refused("the token names a key that the issuer does not have");
    const now = this.#clock.now();
    const { issuer, audience, algorithms, clockSkewSeconds } = this.#settings;
    try {
      const { payload } = await jwtVerify(token, key, {
        issuer,
        audience,
        algorithms,
        clockTolerance: clockSkewSeconds,
        requiredClaims: ["exp", "sub"],
        currentDate: new Date(now),
      });
      return this.#reader.read(header, payload, now);
    } catch (error) {
      throw isKeysteadError(error) ? error : refused(reasonOf(error));
    }
  }

  /**
   * Asks the issuer whether a verified token still counts.
   * @throws KeysteadError `UNAUTHENTICATED`; `OVERLOADED` when there is no answer
   */
  async confirm(token: string, subject: string): Promise<void> {
    if (this.#introspection !== undefined) await this.#answered(this.#introspection.confirm(token, subject));
  }

  /** What keeps the issuer's keys or its introspection from being had; undefined when nothing does. */
  async examine(): Promise<unknown> {
    try {
      await this.#keys.examine();
      await this.#introspection?.examine();
      return undefined;
    } catch (error) {
      return error;
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  async #answered<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      throw isKeysteadError(error) ? error : unanswered(this.name, error);
    }
  }
}

/** Without the error itself, which has the token's claims. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired)
    return `the token's ${error.claim} does not hold (${error.code})`;
  return error instanceof errors.JOSEError ? `the token does not verify (${error.code})` : "the token's key can't verify it";
}
