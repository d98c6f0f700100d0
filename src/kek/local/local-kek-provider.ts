import type { Clock } from "../../clock.ts";
import { systemClock } from "../../clock.ts";
import { type RandomSource, systemRandom } from "../../crypto/random.ts";
import { KeysteadError } from "../../errors.ts";
import type { KekUri } from "../kek-uri.ts";
import type { Kek, KekOpenOptions, KekProvider } from "../kek.ts";
import { LocalKek, PassphraseKek } from "./local-kek.ts";
import { assertMasterKeyName } from "./master-key-file.ts";
import { createMasterKeySource, type MasterKeyConfig, type MasterKeySource } from "./master-key-source.ts";

/** What a {@link LocalKekProvider} serves. */
export interface LocalKekProviderOptions {
  /** Master keys by name: 1–64 of `A-Z a-z 0-9 . _ ~ -`, beginning with a letter or digit. */
  readonly masterKeys: Readonly<Record<string, MasterKeyConfig>>;
  readonly random?: RandomSource;
  readonly clock?: Clock;
}

/**
 * Master keys of this machine as KEKs: `local:NAME`.
 *
 * @example
 * const provider = new LocalKekProvider({ masterKeys: { main: { file: "./master.key" } } });
 */
export class LocalKekProvider implements KekProvider {
  readonly scheme = "local";
  readonly #sources: ReadonlyMap<string, MasterKeySource>;
  readonly #random: RandomSource;
  readonly #clock: Clock;

  /** @throws KeysteadError `INVALID_ARGUMENT` for a bad name, or bytes of another length than 32 */
  constructor({ masterKeys, random = systemRandom, clock = systemClock }: LocalKekProviderOptions) {
    const sources = new Map<string, MasterKeySource>();
    for (const [name, config] of Object.entries(masterKeys)) {
      assertMasterKeyName(name);
      sources.set(name, createMasterKeySource(name, config, random));
    }
    this.#sources = sources;
    this.#random = random;
    this.#clock = clock;
  }

  /**
   * @throws KeysteadError `UNKNOWN_KEK` for a name that isn't configured, `INSECURE_FILE`, `WRONG_MASTER_KEY` when a file holds
   * another name's key, `KEK_FAILED`
   */
  async open(uri: KekUri, { derivation, signal }: KekOpenOptions): Promise<Kek> {
    const name = uri.path;
    const source = uri.scheme === this.scheme ? this.#sources.get(name) : undefined;
    if (source === undefined) {
      const known = [...this.#sources.keys()].sort().join(", ") || "none";
      throw new KeysteadError(
        "UNKNOWN_KEK",
        `no master key for ${uri.toString()} is configured (configured: ${known}); name it in masterKeys, or add it with \`keystead kek add ${name}\``,
      );
    }
    signal?.throwIfAborted();
    const { key, derivation: used } = await source(derivation);
    const parts = { name, masterKey: key, random: this.#random, clock: this.#clock };
    return used === undefined ? new LocalKek(parts) : new PassphraseKek(parts, used);
  }
}
