import { z } from "zod";
import { decodeUtf8 } from "../../crypto/text.ts";
import { KeysteadError } from "../../errors.ts";
import type { EncryptItem, OpenedItem } from "../../keys/cipher-service.ts";
import { isProblem, type ItemProblem } from "../../keys/data-acts.ts";
import { hashNames } from "../../keys/keyless-service.ts";
import type { KeysteadApi } from "../keystead-api.ts";
import { fromTypedJson, toTypedJson } from "../../crypto/typed-json.ts";
import { jsonRoute, usual } from "../route-row.ts";
import type { itemProblem } from "../schemas/common.ts";
import {
  base64,
  context,
  datasetText,
  exactlyOne,
  keyText,
  oneOrMany,
  oneOrManyAnswers,
  targetMembers,
  targetOf,
} from "../schemas/common.ts";
import { typedValue } from "../value-json.ts";

const bound = { context: z.exactOptional(context) };
const dataset = z.exactOptional(datasetText).meta({ description: "dataset that will hold the ciphertext: its census speaks for it" });
const ciphertext = z.string().min(1);
const bytesOrText = { text: z.exactOptional(z.string()), plaintext: z.exactOptional(base64) };

const sealItem = exactlyOne(
  exactlyOne(z.strictObject({ ...targetMembers, ...bytesOrText, value: z.exactOptional(typedValue), ...bound, dataset }), "key", "purpose"),
  "text",
  "plaintext",
  "value",
);
const openItem = z.strictObject({
  ciphertext,
  ...bound,
  /** Absent: `plaintext`, and `text` where it is UTF-8. */
  as: z.exactOptional(z.enum(["text", "bytes", "value"])),
});
const rewrapItem = z.strictObject({ ciphertext, ...bound, key: z.exactOptional(keyText), dataset });
const dataItem = { text: z.exactOptional(z.string()), data: z.exactOptional(base64) };
const macItem = exactlyOne(exactlyOne(z.strictObject({ ...targetMembers, ...dataItem }), "key", "purpose"), "text", "data");
const verifyItem = exactlyOne(
  exactlyOne(z.strictObject({ ...targetMembers, ...dataItem, tag: z.string() }), "key", "purpose"),
  "text",
  "data",
);
const dataKeyItem = exactlyOne(
  z.strictObject({ ...targetMembers, ...bound, bytes: z.exactOptional(z.int().min(16).max(64)), plain: z.exactOptional(z.boolean()) }),
  "key",
  "purpose",
);
const sealedKeyItem = z.strictObject({ ciphertext, ...bound });
const hashItem = exactlyOne(z.strictObject({ ...dataItem, algorithm: z.exactOptional(z.enum(hashNames)) }), "text", "data");

const sealed = z.strictObject({ ciphertext: z.string(), key: z.string(), version: z.int(), label: z.string() });
const openedItem = z.strictObject({
  plaintext: z.exactOptional(z.string().meta({ contentEncoding: "base64" })),
  text: z.exactOptional(z.string()),
  value: z.exactOptional(typedValue),
  key: z.string(),
  version: z.int(),
  label: z.string(),
});
const dataKey = sealed.extend({ plaintext: z.exactOptional(z.string().meta({ contentEncoding: "base64" })) });

type Sealed = z.input<typeof sealed>;
type Opened = z.input<typeof openedItem>;
type Problem = z.input<typeof itemProblem>;
type OpenItem = z.output<typeof openItem>;

/** Operations on data. */
export const dataRoutes = {
  "POST /v1/encrypt": jsonRoute({
    ...usual,
    summary: "Seal text, bytes or a typed value under the current version of a key.",
    tag: "data",
    action: "data.encrypt",
    idempotent: true,
    body: oneOrMany(sealItem),
    answer: oneOrManyAnswers(sealed),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: (await keystead.encryptMany(body.items.map(encryptItem))).map(orProblem(sealedBy)) };
      const { context, dataset, text, plaintext, value } = body;
      const options = { ...(context !== undefined && { context }), ...(dataset !== undefined && { dataset }) };
      return sealedBy(
        value === undefined
          ? await keystead.encrypt(targetOf(body), text ?? plaintext ?? "", options)
          : await keystead.encryptValue(targetOf(body), fromTypedJson(value), options),
      );
    },
  }),
  "POST /v1/decrypt": jsonRoute({
    ...usual,
    summary: "Open ciphertext.",
    tag: "data",
    action: "data.decrypt",
    idempotent: true,
    body: oneOrMany(openItem),
    answer: oneOrManyAnswers(openedItem),
    handle: async (keystead, { body }) => {
      if ("items" in body) {
        return { items: await openMany(keystead, body.items) };
      }
      const { ciphertext, context, as } = body;
      const options = { ...(context !== undefined && { context }) };
      if (as === "value") return opened(body, { value: await keystead.decryptValue(ciphertext, options) });
      if (as === "text") return { text: await keystead.decryptText(ciphertext, options), ...headerOf(body) };
      return opened(body, { plaintext: await keystead.decrypt(ciphertext, options) });
    },
  }),
  "POST /v1/rewrap": jsonRoute({
    ...usual,
    summary: "Move ciphertext to the current version of its key, or to another key, without showing what it seals.",
    tag: "data",
    action: "data.rewrap",
    idempotent: true,
    body: oneOrMany(rewrapItem),
    answer: oneOrManyAnswers(sealed),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: (await keystead.rewrapMany(body.items)).map(orProblem(sealedBy)) };
      const { ciphertext, ...options } = body;
      return sealedBy(await keystead.rewrap(ciphertext, options));
    },
  }),
  "POST /v1/mac": jsonRoute({
    ...usual,
    summary: "Make an authentication tag of data under the current version of a key.",
    tag: "data",
    action: "data.mac",
    idempotent: true,
    body: oneOrMany(macItem),
    answer: oneOrManyAnswers(z.strictObject({ tag: z.string() })),
    handle: async (keystead, { body }) => {
      const tagged = (tag: string): { tag: string } => ({ tag });
      if (!("items" in body)) return tagged(await keystead.mac(targetOf(body), bytesOf(body)));
      const items = body.items.map((item) => ({ target: targetOf(item), data: bytesOf(item) }));
      return { items: (await keystead.macMany(items)).map(orProblem(tagged)) };
    },
  }),
  "POST /v1/mac/verify": jsonRoute({
    ...usual,
    summary: "Check an authentication tag.",
    tag: "data",
    action: "data.verify-mac",
    idempotent: true,
    body: oneOrMany(verifyItem),
    answer: oneOrManyAnswers(z.strictObject({ valid: z.boolean() })),
    handle: async (keystead, { body }) => {
      const judged = (valid: boolean): { valid: boolean } => ({ valid });
      if (!("items" in body)) return judged(await keystead.verifyMac(targetOf(body), bytesOf(body), body.tag));
      const items = body.items.map((item) => ({ target: targetOf(item), data: bytesOf(item), tag: item.tag }));
      return { items: (await keystead.verifyMacMany(items)).map(orProblem(judged)) };
    },
  }),
  "POST /v1/data-keys": jsonRoute({
    ...usual,
    summary: "Make a data key for use elsewhere, sealed under a key; `plain: false` answers the sealed form alone.",
    tag: "data",
    action: "data-keys.create",
    idempotent: true,
    body: oneOrMany(dataKeyItem),
    answer: oneOrManyAnswers(dataKey),
    handle: async (keystead, { body }) => {
      const made = ({ ciphertext, plaintext }: { readonly ciphertext: string; readonly plaintext?: Buffer }): z.input<typeof dataKey> => ({
        ...sealedBy(ciphertext),
        ...(plaintext !== undefined && { plaintext: plaintext.toString("base64") }),
      });
      const wanted = ({ key: _, purpose: __, ...options }: z.output<typeof dataKeyItem>) => options;
      if (!("items" in body)) return made(await keystead.dataKeys.create(targetOf(body), wanted(body)));
      const items = body.items.map((item) => ({ target: targetOf(item), ...wanted(item) }));
      return { items: (await keystead.dataKeys.createMany(items)).map(orProblem(made)) };
    },
  }),
  "POST /v1/data-keys/open": jsonRoute({
    ...usual,
    summary: "Open a sealed data key.",
    tag: "data",
    action: "data-keys.open",
    idempotent: true,
    body: oneOrMany(sealedKeyItem),
    answer: oneOrManyAnswers(z.strictObject({ plaintext: z.string().meta({ contentEncoding: "base64" }) })),
    handle: async (keystead, { body }) => {
      const plain = (key: Buffer): { plaintext: string } => ({ plaintext: key.toString("base64") });
      if ("items" in body) return { items: (await keystead.dataKeys.openMany(body.items)).map(orProblem(plain)) };
      const { ciphertext, ...options } = body;
      return plain(await keystead.dataKeys.open(ciphertext, options));
    },
  }),
  "POST /v1/hash": jsonRoute({
    ...usual,
    summary: "Hash data with SHA-2 or SHA-3.",
    tag: "data",
    action: "data.hash",
    idempotent: true,
    body: oneOrMany(hashItem),
    answer: oneOrManyAnswers(z.strictObject({ hash: z.string().meta({ contentEncoding: "base64" }) })),
    handle: async (keystead, { body }) => {
      const hashed = (hash: Buffer): { hash: string } => ({ hash: hash.toString("base64") });
      if (!("items" in body)) return hashed(await keystead.hash(bytesOf(body), body.algorithm));
      const items = body.items.map((item) => ({ data: bytesOf(item), ...(item.algorithm !== undefined && { algorithm: item.algorithm }) }));
      return { items: (await keystead.hashMany(items)).map(orProblem(hashed)) };
    },
  }),
  "POST /v1/random": jsonRoute({
    ...usual,
    summary: "Random bytes of the host that keeps the keys.",
    tag: "data",
    action: "data.random",
    idempotent: true,
    body: oneOrMany(z.strictObject({ bytes: z.int().min(1).max(65_536) })),
    answer: oneOrManyAnswers(z.strictObject({ bytes: z.string().meta({ contentEncoding: "base64" }) })),
    handle: async (keystead, { body }) => {
      const drawn = (bytes: Buffer): { bytes: string } => ({ bytes: bytes.toString("base64") });
      if (!("items" in body)) return drawn(await keystead.randomBytes(body.bytes));
      return { items: (await keystead.randomBytesMany(body.items)).map(orProblem(drawn)) };
    },
  }),
} as const;

/** Maps items of a batch; a problem becomes what the answer says of it. */
function orProblem<T, A>(map: (result: T) => A): (result: T | ItemProblem) => A | Problem {
  return (result) => (isProblem(result) ? problemJson(result.problem) : map(result));
}

/** A failure as an item of an answer tells it. */
export function problemJson({ code, status, message }: KeysteadError): Problem {
  return { problem: { code, status, detail: message } };
}

/** A request's item as the engine takes it. */
function encryptItem(item: z.output<typeof sealItem>): EncryptItem {
  const { key: _, purpose: __, text, plaintext, value, ...options } = item;
  const target = targetOf(item);
  if (value !== undefined) return { target, value: fromTypedJson(value), ...options };
  return { target, plaintext: text ?? plaintext ?? "", ...options };
}

/** A ciphertext with what its header says. */
function sealedBy(ciphertext: string): Sealed {
  const [, key = "", label = ""] = ciphertext.split(":", 3);
  return { ciphertext, key, version: Number.parseInt(label, 10), label };
}

function bytesOf({ text, data }: { readonly text?: string; readonly data?: Uint8Array }): string | Uint8Array {
  return text ?? data ?? "";
}

function headerOf({ ciphertext }: OpenItem): Omit<Sealed, "ciphertext"> {
  const { ciphertext: _, ...header } = sealedBy(ciphertext);
  return header;
}

function opened(item: OpenItem, { plaintext, value }: OpenedItem): Opened {
  if (plaintext === undefined) return { value: toTypedJson(value), ...headerOf(item) };
  const text = item.as === "bytes" ? undefined : decodeUtf8(plaintext);
  return {
    ...(item.as !== "text" && { plaintext: plaintext.toString("base64") }),
    ...(text !== undefined && { text }),
    ...headerOf(item),
  };
}

async function openMany(keystead: KeysteadApi, items: readonly OpenItem[]): Promise<(Opened | Problem)[]> {
  const results = await keystead.decryptMany(items.map(({ as, ...item }) => ({ ...item, typed: as === "value" })));
  return items.map((item, index) => openedOrProblem(item, results[index] ?? { problem: new KeysteadError("INTERNAL", "no result") }));
}

/** What an item of a batch opened to, in the form that was asked for. */
function openedOrProblem(item: OpenItem, result: OpenedItem | ItemProblem): Opened | Problem {
  if (isProblem(result)) return problemJson(result.problem);
  const answer = opened(item, result);
  if (item.as !== "text" || answer.text !== undefined) return answer;
  return problemJson(new KeysteadError("DECRYPTION_FAILED", "the plaintext is not UTF-8 text; ask for bytes"));
}
