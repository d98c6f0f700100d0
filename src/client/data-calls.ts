import type { DataCall, KeysteadApi } from "../api/keystead-api.ts";
import { batch } from "./batch.ts";
import { each, many, single } from "./batch-answers.ts";
import { fromBase64 } from "./binary.ts";
import { asBytes, asText, dataItems, dataKey, keyName, named, type Opened, textOrBytes, typedValue, valueOf } from "./data-items.ts";
import type { HttpCalls } from "./http-calls.ts";

/** Calls on data. */
export type DataCalls = Pick<KeysteadApi, Exclude<DataCall, "rewrap"> | "dataKeys"> & {
  readonly rewrap: (sealed: string | Uint8Array, options?: RewrapOptions) => Promise<string | Buffer>;
};

/** What a rewrapping is told. */
export type RewrapOptions = NonNullable<Parameters<KeysteadApi["rewrap"]>[1]>;

/** Operations on data, each a call of its route. */
export function dataCalls(http: HttpCalls): DataCalls {
  const opened = async (ciphertext: string | Uint8Array, as: "text" | "bytes" | "value", options: object = {}): Promise<Opened> => {
    const body = { ciphertext: asText(ciphertext), as, ...options };
    return single(await http.call("POST /v1/decrypt", { body }, true));
  };
  return {
    encrypt: async (target, plaintext, options = {}) => {
      const body = { ...named(target), ...textOrBytes(plaintext, "plaintext"), ...options };
      return single(await http.call("POST /v1/encrypt", { body }, true)).ciphertext;
    },
    encryptValue: async (target, value, options = {}) => {
      const body = { ...named(target), value: typedValue(value), ...options };
      return single(await http.call("POST /v1/encrypt", { body }, true)).ciphertext;
    },
    encryptMany: (items) =>
      batch(items, dataItems.encrypt.sent, async (sent) =>
        each(many(await http.call("POST /v1/encrypt", { body: { items: sent } }, true)), dataItems.encrypt.got),
      ),
    decrypt: async (sealed, options) => fromBase64((await opened(sealed, "bytes", options)).plaintext),
    decryptText: async (sealed, options) => (await opened(sealed, "text", options)).text ?? "",
    decryptValue: async (sealed, options) => valueOf(await opened(sealed, "value", options)),
    decryptMany: (items) =>
      batch(items, dataItems.decrypt.sent, async (sent) =>
        each(many(await http.call("POST /v1/decrypt", { body: { items: sent } }, true)), dataItems.decrypt.got),
      ),
    reveal: async (sealed, options = {}) =>
      single(await http.call("POST /v1/reveal", { body: { ciphertext: asText(sealed), ...options } }, true)),
    revealMany: (items, options = {}) =>
      batch(
        items,
        ({ ciphertext, ...bound }) => ({ ciphertext: asText(ciphertext), ...bound }),
        async (sent) => each(many(await http.call("POST /v1/reveal", { body: { items: sent, ...options } }, true)), (revealed) => revealed),
      ),
    rewrap: async (sealed, { key, ...options } = {}) => {
      const body = { ciphertext: asText(sealed), ...options, ...keyName(key) };
      const { ciphertext } = single(await http.call("POST /v1/rewrap", { body }, true));
      return typeof sealed === "string" ? ciphertext : asBytes(ciphertext);
    },
    rewrapMany: (items) =>
      batch(items, dataItems.rewrap.sent, async (sent) =>
        each(many(await http.call("POST /v1/rewrap", { body: { items: sent } }, true)), dataItems.rewrap.got),
      ),
    mac: async (target, data) =>
      single(await http.call("POST /v1/mac", { body: { ...named(target), ...textOrBytes(data, "data") } }, true)).tag,
    macMany: (items) =>
      batch(items, dataItems.mac.sent, async (sent) =>
        each(many(await http.call("POST /v1/mac", { body: { items: sent } }, true)), dataItems.mac.got),
      ),
    verifyMac: async (target, data, tag) =>
      single(await http.call("POST /v1/mac/verify", { body: { ...named(target), ...textOrBytes(data, "data"), tag } }, true)).valid,
    verifyMacMany: (items) =>
      batch(items, dataItems.verifyMac.sent, async (sent) =>
        each(many(await http.call("POST /v1/mac/verify", { body: { items: sent } }, true)), dataItems.verifyMac.got),
      ),
    hash: async (data, algorithm) => {
      const body = { ...textOrBytes(data, "data"), ...(algorithm !== undefined && { algorithm }) };
      return fromBase64(single(await http.call("POST /v1/hash", { body }, true)).hash);
    },
    hashMany: (items) =>
      batch(items, dataItems.hash.sent, async (sent) =>
        each(many(await http.call("POST /v1/hash", { body: { items: sent } }, true)), dataItems.hash.got),
      ),
    randomBytes: async (bytes) => fromBase64(single(await http.call("POST /v1/random", { body: { bytes } }, true)).bytes),
    randomBytesMany: (items) =>
      batch(items, dataItems.randomBytes.sent, async (sent) =>
        each(many(await http.call("POST /v1/random", { body: { items: sent } }, true)), dataItems.randomBytes.got),
      ),
    dataKeys: {
      create: async (target, options = {}) =>
        dataKey(single(await http.call("POST /v1/data-keys", { body: { ...named(target), ...options } }, true))),
      createMany: (items) =>
        batch(items, dataItems.createDataKey.sent, async (sent) =>
          each(many(await http.call("POST /v1/data-keys", { body: { items: sent } }, true)), dataItems.createDataKey.got),
        ),
      open: async (ciphertext, options = {}) => {
        const body = { ciphertext: asText(ciphertext), ...options };
        return fromBase64(single(await http.call("POST /v1/data-keys/open", { body }, true)).plaintext);
      },
      openMany: (items) =>
        batch(items, dataItems.openDataKey.sent, async (sent) =>
          each(many(await http.call("POST /v1/data-keys/open", { body: { items: sent } }, true)), dataItems.openDataKey.got),
        ),
    },
  };
}
