import { describe, expect, it } from "vitest";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { apiPlaces } from "../support/api-places.ts";
import { outcome } from "./support/outcome.ts";
import { emailIndex, openPersons, personDataset } from "./support/persons.ts";

type Streams = KeysteadClient["streams"];

const context = { row: "1" };

/** What a stream gives for some items, and what the method for many gives for the same. */
interface Both {
  readonly streamed: readonly unknown[];
  readonly many: readonly unknown[];
}

async function both<I, A>(
  stream: (items: readonly I[]) => AsyncIterable<A>,
  many: (items: readonly I[]) => Promise<A[]>,
  items: readonly I[],
): Promise<Both> {
  const streamed: A[] = [];
  for await (const answer of stream(items)) streamed.push(answer);
  return { streamed, many: await many(items) };
}

describe.each(Object.entries(apiPlaces).filter(([name]) => name !== "embedded"))("streams by %s", (_, openPlace) => {
  it("give for each item what the method for many gives", async () => {
    const { api } = await openPersons(openPlace);
    if (!(api instanceof KeysteadClient)) throw new TypeError("this place has a client");
    const { streams, dataKeys, datasets } = api;
    await api.keys.create({ name: "m", purpose: "pii", usage: "mac" });
    await datasets.add("crm.person", { ...personDataset, indexes: { email: emailIndex } });
    await datasets.protect("crm.person");
    const ciphertext = await api.encrypt("k", "x", { context });
    const sealedKey = (await dataKeys.create("k", { context })).ciphertext;
    const tag = await api.mac("m", "x");
    const search = { dataset: "crm.person", index: "email", values: ["person7@example.org"] };
    const ofCiphertext = [{ ciphertext, context }, { ciphertext }, { ciphertext: "" }];
    // What is drawn at random is of the same kind each time, the rest is the same.
    const drawn: Pick<{ [Name in keyof Streams]: Both }, "encrypt" | "rewrap" | "randomBytes" | "createDataKeys"> = {
      encrypt: await both(streams.encrypt, (items) => api.encryptMany(items), [
        { target: "k", plaintext: "x" },
        { target: "unknown", value: 7n },
        { target: "m", value: 7n },
      ]),
      rewrap: await both(streams.rewrap, (items) => api.rewrapMany(items), ofCiphertext),
      randomBytes: await both(streams.randomBytes, (items) => api.randomBytesMany(items), [{ bytes: 1 }, { bytes: 100_000 }, { bytes: 3 }]),
      createDataKeys: await both(streams.createDataKeys, (items) => dataKeys.createMany(items), [
        { target: "k", context, bytes: 16 },
        { target: "k", plain: false },
        { target: "m" },
      ]),
    };
    const same: Omit<{ [Name in keyof Streams]: Both }, keyof typeof drawn> = {
      decrypt: await both(streams.decrypt, (items) => api.decryptMany(items), ofCiphertext),
      openDataKeys: await both(streams.openDataKeys, (items) => dataKeys.openMany(items), [
        { ciphertext: sealedKey, context },
        { ciphertext: sealedKey },
        { ciphertext: "" },
      ]),
      mac: await both(streams.mac, (items) => api.macMany(items), [
        { target: "m", data: "x" },
        { target: "m", data: Uint8Array.of(0, 255) },
        { target: "k", data: "x" },
      ]),
      verifyMac: await both(streams.verifyMac, (items) => api.verifyMacMany(items), [
        { target: "m", data: "x", tag },
        { target: "m", data: "y", tag },
        { target: "k", data: "x", tag },
      ]),
      hash: await both(streams.hash, (items) => api.hashMany(items), [
        { data: "x" },
        { data: Uint8Array.of(0, 255), algorithm: "SHA3-512" },
        { data: "" },
      ]),
      tokens: await both(streams.tokens, (items) => datasets.tokensMany(items), [
        search,
        { ...search, dataset: "unknown" },
        { ...search, values: [] },
      ]),
    };
    for (const [name, { streamed, many }] of Object.entries(same)) expect(streamed, name).toEqual(many);
    const outcomes = Object.entries({ ...drawn, ...same }).map(([name, { streamed, many }]) => {
      expect(streamed.map(outcome), name).toEqual(many.map(outcome));
      return [name, streamed.map(outcome)];
    });
    expect(Object.fromEntries(outcomes)).toEqual({
      encrypt: ["ok", "UNKNOWN_KEY", "KEY_USAGE"],
      rewrap: ["ok", "DECRYPTION_FAILED", "MALFORMED_CIPHERTEXT"],
      randomBytes: ["ok", "ok", "ok"],
      createDataKeys: ["ok", "ok", "KEY_USAGE"],
      decrypt: ["ok", "DECRYPTION_FAILED", "MALFORMED_CIPHERTEXT"],
      openDataKeys: ["ok", "DECRYPTION_FAILED", "MALFORMED_CIPHERTEXT"],
      mac: ["ok", "ok", "KEY_USAGE"],
      verifyMac: ["ok", "ok", "KEY_USAGE"],
      hash: ["ok", "ok", "ok"],
      tokens: ["ok", "UNKNOWN_DATASET", "INVALID_ARGUMENT"],
    });
    expect(same.verifyMac.streamed.slice(0, 2)).toEqual([true, false]);
    const [made, sealedAlone] = drawn.createDataKeys.streamed;
    expect(made).toMatchObject({ plaintext: { length: 16 } });
    expect(sealedAlone).not.toHaveProperty("plaintext");
    expect(drawn.randomBytes.streamed).toMatchObject([{ length: 1 }, { length: 100_000 }, { length: 3 }]);
  });
});
