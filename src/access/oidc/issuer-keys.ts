import { createLocalJWKSet, type CryptoKey, errors, type JSONWebKeySet, type LocalJWKSet } from "jose";
import { z } from "zod";
import type { Clock } from "../../clock.ts";
import { FetchedValue } from "./fetched-value.ts";
import type { ProviderClient } from "./provider-client.ts";
import type { ProviderMetadata } from "./provider-metadata.ts";
import { refused } from "./refused.ts";
import type { TokenHeader } from "./token-form.ts";

const maxKeys = 200;
/** A key that was withdrawn counts for ten minutes, or for an hour while the provider is down. An unknown key is looked for every 5 s. */
const terms = { fresh: 600_000, usable: 3_600_000, pause: 5_000 };

const text = z.string().max(255);
// 2,048 to 8,192 bits: shorter ones are weak, longer ones slow.
const modulus = z.string().min(342).max(1_366);
const coordinate = z.string().max(128);
const shared = {
  kid: text.exactOptional(),
  alg: text.exactOptional(),
  use: text.exactOptional(),
  key_ops: z.array(text).exactOptional(),
};
/** Only what is public is taken, so nothing else can be used. */
const keySchema = z.discriminatedUnion("kty", [
  z.object({ kty: z.literal("RSA"), ...shared, n: modulus, e: coordinate }),
  z.object({ kty: z.literal("EC"), ...shared, crv: text, x: coordinate, y: coordinate }),
  z.object({ kty: z.literal("OKP"), ...shared, crv: text, x: coordinate }),
]);
const keySetSchema = z.object({ keys: z.array(z.unknown()).max(maxKeys) });

/** The public keys of one issuer: loaded when needed, kept, and loaded again when a token names a key that isn't among them. */
export class IssuerKeys {
  readonly #keys: FetchedValue<LocalJWKSet>;

  constructor(metadata: ProviderMetadata, client: ProviderClient, clock: Clock) {
    this.#keys = new FetchedValue(() => readKeys(metadata, client), clock, terms);
  }

  /**
   * The key that a token names by `kid` and `alg`. Undefined when the issuer has none.
   * @throws what went wrong with loading the keys
   */
  async find(header: TokenHeader): Promise<CryptoKey | undefined> {
    const known = await this.#keys.current();
    const found = await findIn(known, header);
    if (found !== undefined) return found;
    const newer = await this.#keys.newerThan(known);
    return newer === undefined ? undefined : await findIn(newer, header);
  }

  /** Loads the keys where they are not fresh. @throws what went wrong */
  async examine(): Promise<void> {
    await this.#keys.current();
  }
}

async function findIn(keys: LocalJWKSet, { alg, kid }: TokenHeader): Promise<CryptoKey | undefined> {
  try {
    return await keys({ alg, ...(kid !== undefined && { kid }) });
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return undefined;
    if (error instanceof errors.JWKSMultipleMatchingKeys) throw refused("the token does not say which of the issuer's keys signed it");
    throw refused("the issuer's key is malformed");
  }
}

async function readKeys(metadata: ProviderMetadata, client: ProviderClient): Promise<LocalJWKSet> {
  const address = await metadata.jwksUri();
  const { data } = keySetSchema.safeParse(await client.get(address));
  if (data === undefined) throw new Error(`${address} does not answer with a set of at most ${String(maxKeys)} keys`);
  // Keys of other kinds, such as those for encryption, are none of ours.
  const keys = data.keys.flatMap((key) => keySchema.safeParse(key).data ?? []);
  return createLocalJWKSet({ keys } satisfies JSONWebKeySet);
}
