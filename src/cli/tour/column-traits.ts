import type { SampleValue } from "./table-source.ts";

/** Values that are looked at, and how many characters of each. */
const lookedAt = 2_000;
const longestLook = 200;

/** What the values of a column look like. Shares are of those that are not empty, 0 to 1. */
export interface ColumnTraits {
  /** Values that are not empty, of all rows. */
  readonly filled: number;
  /** Different values among those that were looked at, as a share. */
  readonly distinct: number;
  /** E-mail addresses. */
  readonly addresses: number;
  /** Four digits and more, and hardly anything else. */
  readonly numbers: number;
  /** One to four words of letters. */
  readonly names: number;
}

/** Looks at the values of a column as they come by. */
export class TraitCounter {
  readonly #seen = new Set<string>();
  #filled = 0;
  #looked = 0;
  #addresses = 0;
  #numbers = 0;
  #names = 0;

  add(value: SampleValue): void {
    if (value === null) return;
    this.#filled += 1;
    if (this.#looked === lookedAt) return;
    this.#looked += 1;
    const text = String(value).slice(0, longestLook);
    this.#seen.add(text);
    if (isAddress(text)) this.#addresses += 1;
    if (isNumber(text)) this.#numbers += 1;
    if (isName(text)) this.#names += 1;
  }

  get traits(): ColumnTraits {
    const share = (count: number): number => (this.#looked === 0 ? 0 : count / this.#looked);
    return {
      filled: this.#filled,
      distinct: share(this.#seen.size),
      addresses: share(this.#addresses),
      numbers: share(this.#numbers),
      names: share(this.#names),
    };
  }
}

/** True for what has the form of an e-mail address. */
export function isAddress(text: string): boolean {
  const [local = "", domain = "", ...more] = text.split("@");
  return text.length <= 254 && more.length === 0 && local !== "" && /^[^.\s]/.test(domain) && domain.includes(".") && !/\s/.test(text);
}

function isNumber(text: string): boolean {
  const digits = text.match(/\p{Nd}/gu)?.length ?? 0;
  return digits >= 4 && digits * 3 >= Array.from(text.replace(/\s/g, "")).length * 2;
}

function isName(text: string): boolean {
  const words = text.trim().split(/[\s.-]+/u);
  return words.length <= 4 && words.every((word) => /^[\p{L}\p{M}'’‘`´ʼ]+$/u.test(word));
}
