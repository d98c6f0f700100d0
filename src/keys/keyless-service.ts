import { createHash } from "node:crypto";
import { assertArguments, choice, number, textOrBytes } from "../arguments.ts";
import { KeysteadError } from "../errors.ts";
import { DataActs } from "./data-acts.ts";
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

const mostRandomBytes = 1024 * 1024;

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
    assertArguments({ data, algorithm }, { data: textOrBytes, algorithm: choice(...hashNames) });
    return this.#acts.perform({ action: "data.hash", detail: { algorithm } }, () => ({
      result: createHash(hashes[algorithm]).update(data).digest(),
    }));
  }

  /** Random bytes, 1 to 1,048,576. @throws KeysteadError `INVALID_ARGUMENT` */
  async randomBytes(bytes: number): Promise<Buffer> {
    assertArguments({ bytes }, { bytes: number });
    if (!Number.isSafeInteger(bytes) || bytes < 1 || bytes > mostRandomBytes)
      throw new KeysteadError("INVALID_ARGUMENT", `random bytes are given by 1 to ${String(mostRandomBytes)}`);
    return this.#acts.perform({ action: "data.random", detail: { bytes } }, () => ({ result: this.#engine.random.bytes(bytes) }));
  }
}
