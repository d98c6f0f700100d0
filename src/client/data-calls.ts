import type { DataCall, KeysteadApi } from "../api/keystead-api.ts";
import { toTypedJson } from "../crypto/typed-json.ts";
import { each, many, single } from "./batch-answers.ts";
import { fromBase64 } from "./binary.ts";
import { asBytes, asText, dataItems, dataKey, keyName, named, type Opened, textOrBytes, valueOf } from "./data-items.ts";
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
      const body = { ...named(target), value: toTypedJson(value), ...options };
      return single(await http.call("POST /v1/encrypt", { body }, true)).ciphertext;
    },
    encryptMany: async (items) => {
      const body = { items: items.map(dataItems.encrypt.sent) };
      return each(many(await http.call("POST /v1/encrypt", { body }, true)), dataItems.encrypt.got);
    },
    decrypt: async (sealed, options) => fromBase64((await opened(sealed, "bytes", options)).plaintext),
    decryptText: async (sealed, options) => (await opened(sealed, "text", options)).text ?? "",
    decryptValue: async (sealed, options) => valueOf(await opened(sealed, "value", options)),
    decryptMany: async (items) => {
      const body = { items: items.map(dataItems.decrypt.sent) };
      return each(many(await http.call("POST /v1/decrypt", { body }, true)), dataItems.decrypt.got);
    },
    reveal: async (sealed, options = {}) =>
      single(await http.call("POST /v1/reveal", { body: { ciphertext: asText(sealed), ...options } }, true)),
    revealMany: async (items, options = {}) => {
      const sent = items.map(({ ciphertext, ...bound }) => ({ ciphertext: asText(ciphertext), ...bound }));
      return each(many(await http.call("POST /v1/reveal", { body: { items: sent, ...options } }, true)), (revealed) => revealed);
    },
    rewrap: async (sealed, { key, ...options } = {}) => {
      const body = { ciphertext: asText(sealed), ...options, ...keyName(key) };
      const { ciphertext } = single(await http.call("POST /v1/rewrap", { body }, true));
      return typeof sealed === "string" ? ciphertext : asBytes(ciphertext);
    },
    rewrapMany: async (items) => {
      const body = { items: items.map(dataItems.rewrap.sent) };
      return each(many(await http.call("POST /v1/rewrap", { body }, true)), dataItems.rewrap.got);
    },
    mac: async (target, data) =>
      single(await http.call("POST /v1/mac", { body: { ...named(target), ...textOrBytes(data, "data") } }, true)).tag,
    macMany: async (items) => {
      const body = { items: items.map(dataItems.mac.sent) };
      return each(many(await http.call("POST /v1/mac", { body }, true)), dataItems.mac.got);
    },
    verifyMac: async (target, data, tag) =>
      single(await http.call("POST /v1/mac/verify", { body: { ...named(target), ...textOrBytes(data, "data"), tag } }, true)).valid,
    verifyMacMany: async (items) => {
      const body = { items: items.map(dataItems.verifyMac.sent) };
      return each(many(await http.call("POST /v1/mac/verify", { body }, true)), dataItems.verifyMac.got);
    },
    hash: async (data, algorithm) => {
      const body = { ...textOrBytes(data, "data"), ...(algorithm !== undefined && { algorithm }) };
      return fromBase64(single(await http.call("POST /v1/hash", { body }, true)).hash);
    },
    hashMany: async (items) => {
      const body = { items: items.map(dataItems.hash.sent) };
      return each(many(await http.call("POST /v1/hash", { body }, true)), dataItems.hash.got);
    },
    randomBytes: async (bytes) => fromBase64(single(await http.call("POST /v1/random", { body: { bytes } }, true)).bytes),
    randomBytesMany: async (items) => {
      const body = { items: items.map(dataItems.randomBytes.sent) };
      return each(many(await http.call("POST /v1/random", { body }, true)), dataItems.randomBytes.got);
    },
    dataKeys: {
      create: async (target, options = {}) =>
        dataKey(single(await http.call("POST /v1/data-keys", { body: { ...named(target), ...options } }, true))),
      createMany: async (items) => {
        const body = { items: items.map(dataItems.createDataKey.sent) };
        return each(many(await http.call("POST /v1/data-keys", { body }, true)), dataItems.createDataKey.got);
      },
      open: async (ciphertext, options = {}) => {
        const body = { ciphertext: asText(ciphertext), ...options };
        return fromBase64(single(await http.call("POST /v1/data-keys/open", { body }, true)).plaintext);
      },
      openMany: async (items) => {
        const body = { items: items.map(dataItems.openDataKey.sent) };
        return each(many(await http.call("POST /v1/data-keys/open", { body }, true)), dataItems.openDataKey.got);
      },
    },
  };
}
