import { format, inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { algorithms } from "../../src/crypto/algorithms.ts";
import { KeyMaterial } from "../../src/crypto/key-material.ts";
import { RandomPool, systemRandom } from "../../src/crypto/random.ts";
import { SecretBytes } from "../../src/crypto/secret-bytes.ts";
import { findLeaks } from "../setup/leaks.ts";
import { aeadNames, createAead } from "./support/aead.ts";
import { expectError } from "./support/expect-error.ts";
import { scriptedRandom } from "./support/random.ts";

/** What somebody prints who does not think. */
function prints(value: object): string[] {
  const deep = { depth: Infinity, showHidden: true, getters: true, maxArrayLength: Infinity, maxStringLength: Infinity } as const;
  return [
    inspect(value),
    inspect(value, deep),
    inspect({ nested: [value] }, deep),
    inspect(value, { ...deep, customInspect: false }),
    JSON.stringify({ value }),
    JSON.stringify(Object.getOwnPropertyDescriptors(value)),
    format("%s %j %o", value, value, Object.entries(value)),
    inspect({ ...value }),
  ];
}

const secret = systemRandom.bytes(32);
const seed = { name: "key", bytes: secret };

describe("nothing printed shows the bytes of", () => {
  it.each(Object.values(algorithms))("KeyMaterial of $name", (algorithm) => {
    const material = KeyMaterial.generate(algorithm, scriptedRandom(secret));
    expect(findLeaks({ prints: prints(material).join("\n") }, [seed])).toEqual([]);
    expect(inspect(material)).toBe(`[KeyMaterial ${algorithm.name}]`);
    expect(Reflect.ownKeys(material)).toEqual([]);
  });

  it("SecretBytes", () => {
    const bytes = new SecretBytes(secret);
    expect(findLeaks({ prints: prints(bytes).join("\n") }, [seed])).toEqual([]);
    expect([inspect(bytes), JSON.stringify(bytes), String(bytes)]).toEqual(["[SecretBytes]", '"[SecretBytes]"', "[SecretBytes]"]);
    expect(Reflect.ownKeys(bytes)).toEqual([]);
  });

  it.each(aeadNames)("the Aead of %s", (name) => {
    const aead = createAead(name, secret);
    aead.open(aead.seal(Buffer.alloc(5), secret.subarray(16)), secret.subarray(16));
    expect(findLeaks({ prints: prints(aead).join("\n") }, [seed])).toEqual([]);
    expect(Reflect.ownKeys(aead)).toEqual([]);
  });

  it("a RandomPool", () => {
    const pool = new RandomPool({ bytes: (length) => Buffer.alloc(length, secret) }, systemClock);
    pool.bytes(1);
    expect(findLeaks({ prints: prints(pool).join("\n") }, [seed])).toEqual([]);
    expect(Reflect.ownKeys(pool)).toEqual([]);
  });
});

describe("SecretBytes", () => {
  it("copies what it is given and wipes its copy", () => {
    const given = Buffer.from(secret);
    const bytes = new SecretBytes(given);
    given.fill(0);
    expect(bytes.length).toBe(32);
    const seen = bytes.use((value) => value);
    expect(seen.equals(secret)).toBe(true);
    expect(seen.buffer.byteLength).toBe(32);
    bytes.wipe();
    expect(seen.equals(Buffer.alloc(32))).toBe(true);
    expectError("INVALID_ARGUMENT", () => bytes.use((value) => value));
  });

  it("is wiped at the end of its block", () => {
    let kept: Buffer | undefined;
    {
      using bytes = new SecretBytes(secret);
      kept = bytes.use((value) => value);
    }
    expect(kept.equals(Buffer.alloc(32))).toBe(true);
  });
});
