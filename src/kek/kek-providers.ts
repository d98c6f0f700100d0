import { KeysteadError } from "../errors.ts";
import { callKek, type KekCallBounds } from "./kek-call.ts";
import { KekHandle } from "./kek-handle.ts";
import { parseKekUri, type KekUri } from "./kek-uri.ts";
import type { KekOpenOptions, KekProvider } from "./kek.ts";

/** Loads a provider when its scheme is first used, so that nobody loads an SDK that he doesn't need. */
export type KekProviderLoader = () => Promise<KekProvider>;

/**
 * The KEK providers of one process: a plain map from URI scheme to loader, given by the composition root.
 *
 * @example
 * const providers = new KekProviders({ local: async () => new LocalKekProvider({ masterKeys: { main: { file: "./master.key" } } }) }, { clock: systemClock });
 * const kek = await providers.open("local:main");
 */
export class KekProviders {
  readonly #loaders: ReadonlyMap<string, KekProviderLoader>;
  readonly #bounds: KekCallBounds;
  readonly #loaded = new Map<string, Promise<KekProvider>>();

  constructor(loaders: Readonly<Record<string, KekProviderLoader>>, bounds: KekCallBounds) {
    this.#loaders = new Map(Object.entries(loaders));
    this.#bounds = bounds;
  }

  /** The schemes that can be opened, sorted. */
  get schemes(): readonly string[] {
    return [...this.#loaders.keys()].sort();
  }

  /**
   * Opens a KEK. The caller closes the handle.
   * @throws KeysteadError `INVALID_ARGUMENT` for a malformed URI, `UNKNOWN_KEK` for a scheme or name that isn't configured, and what opening says
   */
  async open(kek: string | KekUri, options: KekOpenOptions = {}): Promise<KekHandle> {
    const uri = typeof kek === "string" ? parseKekUri(kek) : kek;
    const provider = await this.#provider(uri);
    const { signal, ...known } = options;
    const opened = await callKek(
      {
        operation: "open",
        uri: uri.toString(),
        provider,
        work: (bounded) => provider.open(uri, { ...known, signal: bounded }),
        signal,
        discard: (late) => {
          late.close().catch(() => undefined);
        },
      },
      this.#bounds,
    );
    return new KekHandle(uri, opened, provider, this.#bounds);
  }

  async #provider(uri: KekUri): Promise<KekProvider> {
    const loader = this.#loaders.get(uri.scheme);
    if (loader === undefined) {
      throw new KeysteadError(
        "UNKNOWN_KEK",
        `no KEK provider serves the scheme ${uri.scheme}; configured: ${this.schemes.join(", ") || "none"}`,
      );
    }
    let provider = this.#loaded.get(uri.scheme);
    if (provider === undefined) {
      provider = loader();
      this.#loaded.set(uri.scheme, provider);
      provider.catch(() => this.#loaded.delete(uri.scheme));
    }
    try {
      return await provider;
    } catch (cause) {
      if (cause instanceof KeysteadError) throw cause;
      throw new KeysteadError("KEK_FAILED", `the KEK provider for ${uri.scheme} could not be loaded; install what it needs`, { cause });
    }
  }
}
