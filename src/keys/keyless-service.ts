import { createHash } from "node:crypto";
import { assertArguments, choice, listOf, number, object, optional, textOrBytes } from "../arguments.ts";
import { encodeUtf8 } from "../crypto/text.ts";
import { KeysteadError } from "../errors.ts";
import { type BatchItem, DataActs, type ItemProblem } from "./data-acts.ts";
import type { Engine } from "./engine.ts";

/** Hash functions by the names of FIPS 180-4 and FIPS 202, and what `node:crypto` calls them. */
const hashes = {
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
  "SHA3-256": "sha3-256",
  "SHA3-384": "sha3-384",
  "SHA3-512": "sha3-512",
} as const;

/** Name of a hash function. */
export type HashName = keyof typeof hashes;

/** Every {@link HashName}. */
export const hashNames = Object.keys(hashes).filter((name): name is HashName => name in hashes);

/** Data of a batch that is to be hashed. */
export interface HashItem {
  readonly data: string | Uint8Array;
  /** SHA-256 when absent. */
  readonly algorithm?: HashName;
}

/** Random bytes of a batch. */
export interface RandomItem {
  readonly bytes: number;
}

const algorithm = choice(...hashNames);
const rules = {
  hash: { data: textOrBytes, algorithm },
  hashMany: { items: listOf(object<HashItem>({ data: textOrBytes, algorithm: optional(algorithm) })) },
  randomBytes: { bytes: number },
  randomBytesMany: { items: listOf(object<RandomItem>({ bytes: number })) },
} as const;
/** Random bytes that a call asks for at most, a batch in all its items. */
export const mostRandomBytes = 1024 * 1024;

/** What needs no key: hashes, and random bytes of the host that keeps the keys. */
export class KeylessService {
  readonly #engine: Engine;
  readonly #acts: DataActs;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#acts = new DataActs(engine);
  }

  /** The hash of data, which says nothing about who made it: for that take a tag. @throws KeysteadError `INVALID_ARGUMENT` */
  async hash(data: string | Uint8Array, algorithm: HashName = "SHA-256"): Promise<Buffer> {
    assertArguments({ data, algorithm }, rules.hash);
    return this.#acts.perform({ action: "data.hash", detail: { algorithm } }, () => ({ result: digest(data, algorithm) }));
  }

  /** As {@link hash}, for many. @throws KeysteadError `INVALID_ARGUMENT`, `TOO_LARGE` for more than 1,000 items */
  async hashMany(items: readonly HashItem[]): Promise<(Buffer | ItemProblem)[]> {
    assertArguments({ items }, rules.hashMany);
    const batch = items.map(({ data, algorithm = "SHA-256" }): BatchItem<Buffer> => ({ work: () => digest(data, algorithm) }));
    return this.#acts.performEach("data.hash", batch, () => undefined);
  }

  /** Random bytes, 1 to 1,048,576. @throws KeysteadError `INVALID_ARGUMENT` */
  async randomBytes(bytes: number): Promise<Buffer> {
    assertArguments({ bytes }, rules.randomBytes);
    assertLength(bytes);
    return this.#acts.perform({ action: "data.random", detail: { bytes } }, () => ({ result: this.#engine.random.bytes(bytes) }));
  }

  /** As {@link randomBytes}, for many. @throws KeysteadError `INVALID_ARGUMENT`, `TOO_LARGE` for more than 1,000 items or 1,048,576 bytes in all */
  async randomBytesMany(items: readonly RandomItem[]): Promise<(Buffer | ItemProblem)[]> {
    assertArguments({ items }, rules.randomBytesMany);
    if (items.reduce((sum, { bytes }) => sum + Math.max(bytes, 0), 0) > mostRandomBytes)
      throw new KeysteadError("TOO_LARGE", `a batch has at most ${String(mostRandomBytes)} random bytes in all; ask for fewer`);
    const batch = items.map(({ bytes }): BatchItem<Buffer> => ({ work: () => this.#draw(bytes) }));
    return this.#acts.performEach("data.random", batch, () => undefined);
  }

  #draw(bytes: number): Buffer {
    assertLength(bytes);
    return this.#engine.random.bytes(bytes);
  }
}

function digest(data: string | Uint8Array, algorithm: HashName): Buffer {
  return createHash(hashes[algorithm])
    .update(typeof data === "string" ? encodeUtf8(data, "data") : data)
    .digest();
}

function assertLength(bytes: number): void {
  if (Number.isSafeInteger(bytes) && bytes >= 1 && bytes <= mostRandomBytes) return;
  throw new KeysteadError("INVALID_ARGUMENT", `random bytes are given by 1 to ${String(mostRandomBytes)}`);
}
