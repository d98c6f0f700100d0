import { describe, expect, it } from "vitest";
import { systemRandom } from "../../src/crypto/random.ts";
import { seal } from "../../src/datasets/sealed-content.ts";
import type { KeyHandle } from "../../src/keys/key-handle.ts";
import { createTestKeystead } from "../support/test-keystead.ts";

/** A handle that seals something else than it is given, as broken memory would. */
function faulty(key: KeyHandle): KeyHandle {
  return new Proxy(key, {
    get: (handle, name) => {
      if (name === "sealBytes") {
        const sealOther: KeyHandle["sealBytes"] = (kind, form, plaintext, context) =>
          handle.sealBytes(kind, form, Buffer.from(plaintext).fill(0x21), context);
        return sealOther;
      }
      const value: unknown = Reflect.get(handle, name, handle);
      return typeof value === "function" ? (...call: unknown[]): unknown => Reflect.apply(value, handle, call) : value;
    },
  });
}

describe("sealing a cell", () => {
  it.each(["text", "binary"] as const)("in the form %s stores nothing that does not open to what was given", async (form) => {
    const { keystead } = await createTestKeystead();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    const key = await keystead.open("k");
    const plaintext = Buffer.from("plaintext");
    const sealWith = (handle: KeyHandle) => () => seal(plaintext, { kind: "value", key: handle, random: systemRandom }, form, { row: "1" });
    expect(sealWith(key)).not.toThrow();
    expect(sealWith(faulty(key))).toThrow(/did not open to itself/);
  });
});
