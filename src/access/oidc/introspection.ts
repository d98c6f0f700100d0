import { z } from "zod";
import type { ProviderClient } from "./provider-client.ts";
import type { ProviderMetadata } from "./provider-metadata.ts";
import { refused } from "./refused.ts";

const answerSchema = z.object({ active: z.boolean(), sub: z.string().optional() });

type Answer = z.output<typeof answerSchema>;

/** Asks an issuer whether a token still counts (RFC 7662). Its client's secret is nowhere else in this process. */
export class Introspection {
  readonly #metadata: ProviderMetadata;
  readonly #client: ProviderClient;
  readonly #authorization: string;

  constructor(metadata: ProviderMetadata, client: ProviderClient, clientId: string, secret: string) {
    this.#metadata = metadata;
    this.#client = client;
    // RFC 6749, section 2.3.1: both are form-encoded before they become a user and a password.
    this.#authorization = `Basic ${Buffer.from(`${formEncoded(clientId)}:${formEncoded(secret)}`).toString("base64")}`;
  }

  /**
   * Resolves when the issuer says that the token counts.
   * @throws KeysteadError `UNAUTHENTICATED` when it says that it doesn't; anything else when there is no such answer
   */
  async confirm(token: string, subject: string): Promise<void> {
    const { active, sub } = await this.#ask(token);
    if (!active) throw refused("the issuer says that the token is not active (any more)");
    if (sub !== undefined && sub !== subject) throw refused("the issuer says that the token belongs to somebody else");
  }

  /** Asks about a token that nobody has. @throws what keeps the issuer from answering */
  async examine(): Promise<void> {
    await this.#ask("examination");
  }

  async #ask(token: string): Promise<Answer> {
    const fields = { token, token_type_hint: "access_token" };
    const address = await this.#metadata.introspectionUri();
    const { data } = answerSchema.safeParse(await this.#client.post(address, { authorization: this.#authorization, fields }));
    if (data === undefined) throw new Error(`${address} does not say whether the token is active`);
    return data;
  }
}

function formEncoded(text: string): string {
  return new URLSearchParams({ "": text }).toString().slice(1);
}
