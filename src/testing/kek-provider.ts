import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Kek, KekOpenOptions, KekProvider, WrapContext } from "../kek/kek.ts";
import { parseKekUri } from "../kek/kek-uri.ts";
import type { TestFunctions } from "./store/suite.ts";

/** What {@link testKekProvider} works on. */
export interface KekProviderSuite extends TestFunctions {
  /** Names the provider in the test titles. */
  readonly name: string;
  /** URI of a KEK that the provider opens, each time in the same state. */
  readonly uri: string;
  /** Makes the provider; called at least once for each test. */
  readonly createProvider: () => Promise<KekProvider> | KekProvider;
  /** Passed to each opening, for example the `derivation` of a passphrase. */
  readonly openOptions?: KekOpenOptions;
}

const context: WrapContext = {
  storeId: "1c0e6d52-0f25-4b4e-9d3c-5a7a1f0f3b11",
  subject: "7d0a9c0e-3b7e-4a53-8a48-8f0f3c6f2d22",
  kekUri: "local:conformance",
};

/** 32 bytes that are the same in each run, and others for each label. */
function testKey(label: string): Uint8Array {
  return createHash("sha256").update(`keystead conformance ${label}`).digest();
}

/**
 * The behaviour that every {@link KekProvider} must have, as a suite for its maker's own tests. The KEK is used as it is,
 * without the portable side: what a raw error looks like is not asked, only that there is one.
 *
 * @example
 * import { describe, it } from "vitest";
 * testKekProvider({ describe, it, name: "local", uri: "local:main", createProvider: () => new LocalKekProvider({ masterKeys }) });
 */
export function testKekProvider({ describe, it, name, uri, createProvider, openOptions = {} }: KekProviderSuite): void {
  const open = async (): Promise<Kek> => (await createProvider()).open(parseKekUri(uri), openOptions);
  const withKek = async (work: (kek: Kek) => Promise<void>): Promise<void> => {
    const kek = await open();
    try {
      await work(kek);
    } finally {
      await kek.close();
    }
  };

  describe(`KEK provider ${name}`, () => {
    it("has the scheme of its URI", async () => {
      assert.equal((await createProvider()).scheme, parseKekUri(uri).scheme);
    });

    it("opens what it wrapped, and leaves the caller's key as it was", () =>
      withKek(async (kek) => {
        const key = testKey("round trip");
        const wrapped = await kek.wrapKey(key, { context });
        assert.deepEqual(Buffer.from(key), Buffer.from(testKey("round trip")));
        assert.deepEqual(Buffer.from(await kek.unwrapKey(wrapped, { context })), Buffer.from(key));
      }));

    it("does not carry the key in the wrap", () =>
      withKek(async (kek) => {
        const key = testKey("hidden");
        assert.equal(Buffer.from((await kek.wrapKey(key, { context })).bytes).indexOf(key), -1);
      }));

    it("wraps the same key differently each time", () =>
      withKek(async (kek) => {
        const first = await kek.wrapKey(testKey("fresh"), { context });
        const second = await kek.wrapKey(testKey("fresh"), { context });
        assert.notDeepEqual(Buffer.from(first.bytes), Buffer.from(second.bytes));
      }));

    it("opens in another instance, under the same key id", () =>
      withKek(async (kek) => {
        const wrapped = await kek.wrapKey(testKey("instance"), { context });
        assert.ok(wrapped.kekId.length > 0 && wrapped.kekId.length <= 1024);
        assert.equal(wrapped.kekId, kek.kekId);
        await withKek(async (other) => {
          assert.equal(other.kekId, kek.kekId);
          assert.deepEqual(Buffer.from(await other.unwrapKey(wrapped, { context })), Buffer.from(testKey("instance")));
        });
      }));

    for (const part of ["storeId", "subject", "kekUri"] as const) {
      it(`refuses a wrap under another ${part}`, () =>
        withKek(async (kek) => {
          const wrapped = await kek.wrapKey(testKey(part), { context });
          await assert.rejects(kek.unwrapKey(wrapped, { context: { ...context, [part]: `${context[part]}x` } }));
        }));
    }

    it("refuses a wrap whose context parts changed places", () =>
      withKek(async (kek) => {
        const wrapped = await kek.wrapKey(testKey("swap"), { context });
        const swapped = { ...context, storeId: context.subject, subject: context.storeId };
        await assert.rejects(kek.unwrapKey(wrapped, { context: swapped }));
      }));

    it("refuses altered bytes, wherever they are", () =>
      withKek(async (kek) => {
        const { kekId, bytes } = await kek.wrapKey(testKey("altered"), { context });
        const step = Math.max(1, Math.floor(bytes.length / 64));
        for (let index = 0; index < bytes.length; index += step) {
          const altered = Buffer.from(bytes);
          altered.writeUInt8(altered.readUInt8(index) ^ 1, index);
          await assert.rejects(kek.unwrapKey({ kekId, bytes: altered }, { context }), `byte ${String(index)}`);
        }
      }));

    it("refuses a wrap that is too short or too long", () =>
      withKek(async (kek) => {
        const { kekId, bytes } = await kek.wrapKey(testKey("length"), { context });
        for (const length of [0, 1, Math.floor(bytes.length / 2), bytes.length - 1]) {
          await assert.rejects(kek.unwrapKey({ kekId, bytes: bytes.subarray(0, length) }, { context }), `${String(length)} bytes`);
        }
        await assert.rejects(kek.unwrapKey({ kekId, bytes: Buffer.concat([bytes, Buffer.alloc(1)]) }, { context }));
      }));

    it("does not act when the signal is aborted already", () =>
      withKek(async (kek) => {
        const signal = AbortSignal.abort();
        const wrapped = await kek.wrapKey(testKey("abort"), { context });
        await assert.rejects(kek.wrapKey(testKey("abort"), { context, signal }));
        await assert.rejects(kek.unwrapKey(wrapped, { context, signal }));
      }));

    it("serves many calls at once", () =>
      withKek(async (kek) => {
        const labels = Array.from({ length: 32 }, (_, index) => `concurrent ${String(index)}`);
        const opened = await Promise.all(
          labels.map(async (label) => {
            const own = { context: { ...context, subject: label } };
            return kek.unwrapKey(await kek.wrapKey(testKey(label), own), own);
          }),
        );
        assert.deepEqual(
          opened.map((key) => Buffer.from(key)),
          labels.map((label) => Buffer.from(testKey(label))),
        );
      }));

    it("refuses everything once closed, and closes again without complaint", async () => {
      const kek = await open();
      const wrapped = await kek.wrapKey(testKey("closed"), { context });
      await kek.close();
      await assert.rejects(kek.wrapKey(testKey("closed"), { context }));
      await assert.rejects(kek.unwrapKey(wrapped, { context }));
      await kek.close();
    });
  });
}
