import type { DataCall, KeysteadApi } from "../api/keystead-api.ts";
import { binaryPrefix, formatBinary, formatText, parseBinary, parseText, textPrefix } from "../crypto/ciphertext.ts";
import { fromTypedJson, toTypedJson, type TypedJson } from "../crypto/typed-json.ts";
import { KeysteadError } from "../errors.ts";
import { each, many, mixedReleases, single } from "./batch-answers.ts";
import { fromBase64, toBase64 } from "./binary.ts";
import type { HttpCalls } from "./http-calls.ts";

/** Calls on data. */
export type DataCalls = Pick<KeysteadApi, Exclude<DataCall, "rewrap"> | "dataKeys"> & {
  readonly rewrap: (sealed: string | Uint8Array, options?: RewrapOptions) => Promise<string | Buffer>;
};

/** What a rewrapping is told. */
export type RewrapOptions = NonNullable<Parameters<KeysteadApi["rewrap"]>[1]>;

type KeyTarget = Parameters<KeysteadApi["encrypt"]>[0];

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
      const sent = items.map(({ target, plaintext, value, ...options }) => ({
        ...named(target),
        ...(plaintext !== undefined && textOrBytes(plaintext, "plaintext")),
        ...(value !== undefined && { value: toTypedJson(value) }),
        ...options,
      }));
      return each(many(await http.call("POST /v1/encrypt", { body: { items: sent } }, true)), ({ ciphertext }) => ciphertext);
    },
    decrypt: async (sealed, options) => fromBase64((await opened(sealed, "bytes", options)).plaintext),
    decryptText: async (sealed, options) => (await opened(sealed, "text", options)).text ?? "",
    decryptValue: async (sealed, options) => valueOf(await opened(sealed, "value", options)),
    decryptMany: async (items) => {
      const sent = items.map(({ ciphertext, typed = false, ...options }) => ({
        ciphertext: asText(ciphertext),
        as: typed ? ("value" as const) : ("bytes" as const),
        ...options,
      }));
      const answers = many(await http.call("POST /v1/decrypt", { body: { items: sent } }, true));
      return each(answers, (item) => (item.value === undefined ? { plaintext: fromBase64(item.plaintext) } : { value: valueOf(item) }));
    },
    reveal: async (sealed, options = {}) =>
      single(await http.call("POST /v1/reveal", { body: { ciphertext: asText(sealed), ...options } }, true)),
    revealMany: async (items, options = {}) => {
      const sent = items.map(({ ciphertext, ...bound }) => ({ ciphertext: asText(ciphertext), ...bound }));
      return each(many(await http.call("POST /v1/reveal", { body: { items: sent, ...options } }, true)), (revealed) => revealed);
    },
    rewrap: async (sealed, { key, ...options } = {}) => {
      const body = { ciphertext: asText(sealed), ...options, ...(await keyName(key)) };
      const { ciphertext } = single(await http.call("POST /v1/rewrap", { body }, true));
      return typeof sealed === "string" ? ciphertext : asBytes(ciphertext);
    },
    rewrapMany: async (items) => {
      const sent = await Promise.all(items.map(async ({ key, ...item }) => ({ ...item, ...(await keyName(key)) })));
      return each(many(await http.call("POST /v1/rewrap", { body: { items: sent } }, true)), ({ ciphertext }) => ciphertext);
    },
    mac: async (target, data) =>
      single(await http.call("POST /v1/mac", { body: { ...named(target), ...textOrBytes(data, "data") } }, true)).tag,
    macMany: async (items) => {
      const sent = items.map(({ target, data }) => ({ ...named(target), ...textOrBytes(data, "data") }));
      return each(many(await http.call("POST /v1/mac", { body: { items: sent } }, true)), ({ tag }) => tag);
    },
    verifyMac: async (target, data, tag) =>
      single(await http.call("POST /v1/mac/verify", { body: { ...named(target), ...textOrBytes(data, "data"), tag } }, true)).valid,
    verifyMacMany: async (items) => {
      const sent = items.map(({ target, data, tag }) => ({ ...named(target), ...textOrBytes(data, "data"), tag }));
      return each(many(await http.call("POST /v1/mac/verify", { body: { items: sent } }, true)), ({ valid }) => valid);
    },
    hash: async (data, algorithm) => {
      const body = { ...textOrBytes(data, "data"), ...(algorithm !== undefined && { algorithm }) };
      return fromBase64(single(await http.call("POST /v1/hash", { body }, true)).hash);
    },
    hashMany: async (items) => {
      const sent = items.map(({ data, ...options }) => ({ ...textOrBytes(data, "data"), ...options }));
      return each(many(await http.call("POST /v1/hash", { body: { items: sent } }, true)), ({ hash }) => fromBase64(hash));
    },
    randomBytes: async (bytes) => fromBase64(single(await http.call("POST /v1/random", { body: { bytes } }, true)).bytes),
    randomBytesMany: async (items) =>
      each(many(await http.call("POST /v1/random", { body: { items: [...items] } }, true)), ({ bytes }) => fromBase64(bytes)),
    dataKeys: {
      create: async (target, options = {}) =>
        dataKey(single(await http.call("POST /v1/data-keys", { body: { ...named(target), ...options } }, true))),
      createMany: async (items) => {
        const sent = items.map(({ target, ...options }) => ({ ...named(target), ...options }));
        return each(many(await http.call("POST /v1/data-keys", { body: { items: sent } }, true)), dataKey);
      },
      open: async (ciphertext, options = {}) => {
        const body = { ciphertext: asText(ciphertext), ...options };
        return fromBase64(single(await http.call("POST /v1/data-keys/open", { body }, true)).plaintext);
      },
      openMany: async (items) =>
        each(many(await http.call("POST /v1/data-keys/open", { body: { items: [...items] } }, true)), ({ plaintext }) =>
          fromBase64(plaintext),
        ),
    },
  };
}

interface Opened {
  readonly plaintext?: string;
  readonly text?: string;
  readonly value?: TypedJson;
}

function valueOf({ value }: Opened): ReturnType<typeof fromTypedJson> {
  if (value !== undefined) return fromTypedJson(value);
  throw mixedReleases();
}

function dataKey({ ciphertext, plaintext }: { readonly ciphertext: string; readonly plaintext?: string }): {
  readonly ciphertext: string;
  readonly plaintext?: Buffer;
} {
  return { ciphertext, ...(plaintext !== undefined && { plaintext: fromBase64(plaintext) }) };
}

/** The members by which a body names a key. */
export function named(target: KeyTarget): { readonly key: string } | { readonly purpose: string } {
  return typeof target === "string" ? { key: target } : { purpose: target.purpose };
}

/** A key to move to is named by itself: a purpose's default key may change between two looks. */
function keyName(target: KeyTarget | undefined): Promise<{ readonly key?: string }> {
  if (target === undefined) return Promise.resolve({});
  if (typeof target === "string") return Promise.resolve({ key: target });
  return Promise.reject(new KeysteadError("INVALID_ARGUMENT", "over HTTP the key to move to is given by its name, not by a purpose"));
}

function textOrBytes<const Name extends string>(
  data: string | Uint8Array,
  name: Name,
): { readonly text: string } | { readonly [N in Name]: string } {
  if (typeof data !== "string") return record(name, toBase64(data));
  if (data.isWellFormed()) return { text: data };
  throw new KeysteadError("INVALID_ARGUMENT", "the text contains a lone surrogate: pass well-formed text, or bytes");
}

function record<const Name extends string>(name: Name, value: string): { readonly [N in Name]: string };
function record(name: string, value: string): Readonly<Record<string, string>> {
  return { [name]: value };
}

/** Ciphertext as JSON takes it: what is binary is written as text. */
function asText(sealed: string | Uint8Array): string {
  if (typeof sealed === "string") return sealed;
  const parsed = parseBinary(sealed);
  if (parsed === undefined)
    throw new KeysteadError(
      "MALFORMED_CIPHERTEXT",
      "this is not Keystead ciphertext of format 1; check that it was stored whole and unchanged",
    );
  return formatText(textPrefix(parsed.key, parsed.label), parsed.payload);
}

function asBytes(ciphertext: string): Buffer {
  const parsed = parseText(ciphertext);
  if (parsed === undefined) throw mixedReleases();
  return formatBinary(binaryPrefix(parsed.key, parsed.label), parsed.payload);
}
