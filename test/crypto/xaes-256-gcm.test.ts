import { createHash } from "node:crypto";
import { shake128 } from "@noble/hashes/sha3.js";
import { describe, expect, it } from "vitest";
import { createAead } from "./support/aead.ts";
import { scriptedRandom } from "./support/random.ts";
import { hex, readVectors } from "./support/vectors.ts";

interface XaesVectors {
  readonly vectors: readonly {
    readonly K: string;
    readonly N_ascii: string;
    readonly plaintext_ascii: string;
    readonly aad_ascii: string;
    readonly ciphertext: string;
  }[];
  readonly accumulated: Readonly<Record<"10000" | "1000000", string>>;
}

const { vectors, accumulated } = readVectors("xaes-256-gcm.json") as XaesVectors;

/** Variable that turns the million iterations on; they take longer than all other tests of this folder together. */
const millionVariable = "KEYSTEAD_TEST_XAES_MILLION";

describe("XAES-256-GCM (C2SP)", () => {
  it.each(vectors)("seals and opens the vector of key $K", (vector) => {
    const nonce = Buffer.from(vector.N_ascii);
    const plaintext = Buffer.from(vector.plaintext_ascii);
    const aad = Buffer.from(vector.aad_ascii);
    const expected = Buffer.concat([nonce, hex(vector.ciphertext)]);
    expect(createAead("XAES-256-GCM", hex(vector.K), scriptedRandom(nonce)).seal(plaintext, aad)).toEqual(expected);
    expect(createAead("XAES-256-GCM", hex(vector.K)).open(expected, aad)).toEqual(plaintext);
  });

  it("gives the accumulated result of 10,000 random messages, and opens each", () => {
    expect(accumulate(10_000)).toBe(accumulated["10000"]);
  });

  const million = process.env[millionVariable] === "1";
  if (!million)
    process.stdout.write(
      `XAES-256-GCM: 1 test skipped, the accumulated result of 1,000,000 messages; set ${millionVariable}=1 to run it\n`,
    );
  it.runIf(million)("gives the accumulated result of 1,000,000 random messages, and opens each", { timeout: 600_000 }, () => {
    expect(accumulate(1_000_000)).toBe(accumulated["1000000"]);
  });
});

/** Reads an extendable output piece by piece. */
class OutputStream {
  readonly #output = shake128.create({});
  #block = Buffer.alloc(0);

  read(length: number): Buffer {
    if (this.#block.length < length) this.#block = Buffer.concat([this.#block, this.#output.xof(65_536)]);
    const taken = this.#block.subarray(0, length);
    this.#block = this.#block.subarray(length);
    return taken;
  }

  readWithLength(): Buffer {
    return this.read(this.read(1).readUInt8());
  }
}

function accumulate(iterations: number): string {
  const stream = new OutputStream();
  const result = createHash("shake128", { outputLength: 32 });
  for (let iteration = 0; iteration < iterations; iteration++) {
    const key = stream.read(32);
    const nonce = stream.read(24);
    const plaintext = stream.readWithLength();
    const aad = stream.readWithLength();
    const sealed = createAead("XAES-256-GCM", key, scriptedRandom(nonce)).seal(plaintext, aad);
    result.update(sealed.subarray(24));
    const opened = createAead("XAES-256-GCM", key, scriptedRandom()).open(sealed, aad);
    if (opened?.equals(plaintext) !== true) throw new Error(`message ${iteration} does not open`);
  }
  return result.digest("hex");
}
