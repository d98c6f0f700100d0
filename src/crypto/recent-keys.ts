import { viewBytes } from "./text.ts";

interface Newest<T> {
  readonly prefix: Uint8Array;
  readonly entry: T;
}

/** The entries that were used last, up to a number of them, by the prefix of a nonce. */
export class RecentKeys<T> {
  readonly #capacity: number;
  readonly #entries = new Map<string, T>();
  #newest: Newest<T> | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(prefix: Uint8Array): T | undefined {
    // Rows that lie together were mostly sealed together; comparing bytes costs a fifth of making a name of them.
    if (this.#newest !== undefined && samePrefix(this.#newest.prefix, prefix)) return this.#newest.entry;
    const entry = this.#entries.get(nameOf(prefix));
    if (entry !== undefined) this.admit(prefix, entry);
    return entry;
  }

  /** Makes this the entry used last; the one not used for longest goes when there are too many. */
  admit(prefix: Uint8Array, entry: T): void {
    const name = nameOf(prefix);
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    this.#newest = { prefix: Uint8Array.from(prefix), entry };
    if (this.#entries.size <= this.#capacity) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }
}

/** True for equal bytes. Prefixes are public, so time may tell. */
export function samePrefix(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

function nameOf(prefix: Uint8Array): string {
  return viewBytes(prefix).toString("latin1");
}
