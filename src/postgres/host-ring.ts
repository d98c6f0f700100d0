import type { ClientConfig } from "pg";

/** How to connect to each of several hosts, one of which is the primary. It stays with the one that it found. */
export class HostRing {
  readonly #configs: readonly [ClientConfig, ...ClientConfig[]];
  #index = 0;

  constructor(configs: readonly [ClientConfig, ...ClientConfig[]]) {
    this.#configs = configs;
  }

  get size(): number {
    return this.#configs.length;
  }

  /** The host to connect to. */
  get current(): ClientConfig {
    return this.#configs[this.#index] ?? this.#configs[0];
  }

  /** Goes on to the next host when this one can't be used, unless somebody went on from it already. */
  pass(unusable: ClientConfig): void {
    if (unusable === this.current) this.#index = (this.#index + 1) % this.size;
  }
}
