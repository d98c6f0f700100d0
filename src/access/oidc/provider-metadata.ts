import { z } from "zod";
import type { Clock } from "../../clock.ts";
import { checkFields } from "../../field-problem.ts";
import { FetchedValue } from "./fetched-value.ts";
import type { ProviderClient } from "./provider-client.ts";
import { isProviderAddress, type OidcIssuerSettings } from "./settings.ts";

const documentSchema = z.object({
  issuer: z.string(),
  jwks_uri: z.string().max(2_048).optional(),
  introspection_endpoint: z.string().max(2_048).optional(),
});

/** What discovery says of an issuer's addresses. */
export type ProviderDocument = z.output<typeof documentSchema>;

const terms = { fresh: 600_000, usable: 3_600_000, pause: 1_000 };

/** The addresses of an issuer: from the configuration, otherwise from OpenID Connect Discovery, which is read when it is needed. */
export class ProviderMetadata {
  readonly #settings: OidcIssuerSettings;
  readonly #document: FetchedValue<ProviderDocument>;

  constructor(settings: OidcIssuerSettings, client: ProviderClient, clock: Clock) {
    this.#settings = settings;
    this.#document = new FetchedValue(() => readDocument(settings, client), clock, terms);
  }

  /** Address of the public keys. */
  async jwksUri(): Promise<string> {
    const { jwksUri, issuer, allowHttpLoopback } = this.#settings;
    if (jwksUri !== undefined) return jwksUri;
    const { jwks_uri: found } = await this.#document.current();
    if (found !== undefined && isProviderAddress(found, allowHttpLoopback)) return found;
    throw new Error(`the discovery of ${issuer} names no https address of its keys; configure jwksUri`);
  }

  /** Address where it is asked whether a token counts. Found by discovery, it is the issuer's own: it gets a client's secret. */
  async introspectionUri(): Promise<string> {
    const { introspection, issuer, allowHttpLoopback } = this.#settings;
    if (introspection?.uri !== undefined) return introspection.uri;
    const { introspection_endpoint: found } = await this.#document.current();
    if (found !== undefined && isProviderAddress(found, allowHttpLoopback) && new URL(found).origin === new URL(issuer).origin)
      return found;
    throw new Error(`the discovery of ${issuer} names no address for introspection on its own host; configure introspection.uri`);
  }
}

async function readDocument({ issuer }: OidcIssuerSettings, client: ProviderClient): Promise<ProviderDocument> {
  const address = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const checked = checkFields("the answer", documentSchema, await client.get(address));
  if (checked.problem !== undefined) throw new Error(`${address}: ${checked.problem}`);
  // Otherwise one issuer could have its keys taken for another's.
  if (checked.data.issuer !== issuer)
    throw new Error(`${address} is the discovery of another issuer; configure the issuer exactly as its tokens name it`);
  return checked.data;
}
