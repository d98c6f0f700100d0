import type { z } from "zod";
import { labelOf } from "../../crypto/ciphertext.ts";
import { decodeUtf8 } from "../../crypto/text.ts";
import { fromTypedJson, toTypedJson } from "../../crypto/typed-json.ts";
import { KeysteadError } from "../../errors.ts";
import type { EncryptItem, OpenedItem, SealOptions } from "../../keys/cipher-service.ts";
import { isProblem, type ItemProblem } from "../../keys/data-acts.ts";
import type { DataKey, DataKeyOptions } from "../../keys/data-key-service.ts";
import type { Writable } from "../../writable.ts";
import type { KeysteadApi } from "../keystead-api.ts";
import { type itemProblem, targetOf } from "../schemas/common.ts";
import type {
  dataKey,
  dataKeyItem,
  hashItem,
  macItem,
  openedItem,
  openItem,
  randomItem,
  revealBody,
  rewrapItem,
  sealed,
  sealedKeyItem,
  sealItem,
  tokensItem,
  verifyItem,
} from "../schemas/data.ts";

type Sealed = z.input<typeof sealed>;
type Opened = z.input<typeof openedItem>;
type Problem = z.input<typeof itemProblem>;
type OpenItem = z.output<typeof openItem>;
type RevealMany = Extract<z.output<typeof revealBody>, { readonly items: unknown }>;
type Items<T extends z.ZodType> = readonly z.output<T>[];

/** Operations on many items, for batches and streams: for each in order what it gives, or the problem with it. */
export const dataMany = {
  encrypt: async (keystead: KeysteadApi, items: Items<typeof sealItem>) =>
    (await keystead.encryptMany(items.map(encryptItem))).map(orProblem(sealedBy)),
  decrypt: (keystead: KeysteadApi, items: Items<typeof openItem>) => openMany(keystead, items),
  reveal: async (keystead: KeysteadApi, { items, ...options }: RevealMany) =>
    (await keystead.revealMany(items, options)).map(orProblem((revealed) => revealed)),
  rewrap: async (keystead: KeysteadApi, items: Items<typeof rewrapItem>) => (await keystead.rewrapMany(items)).map(orProblem(sealedBy)),
  mac: async (keystead: KeysteadApi, items: Items<typeof macItem>) =>
    (await keystead.macMany(items.map((item) => ({ target: targetOf(item), data: bytesOf(item) })))).map(orProblem(asTag)),
  verifyMac: async (keystead: KeysteadApi, items: Items<typeof verifyItem>) =>
    (await keystead.verifyMacMany(items.map((item) => ({ target: targetOf(item), data: bytesOf(item), tag: item.tag })))).map(
      orProblem(asJudgement),
    ),
  createDataKeys: async (keystead: KeysteadApi, items: Items<typeof dataKeyItem>) =>
    (await keystead.dataKeys.createMany(items.map((item) => ({ target: targetOf(item), ...dataKeyOptions(item) })))).map(
      orProblem(asDataKey),
    ),
  openDataKeys: async (keystead: KeysteadApi, items: Items<typeof sealedKeyItem>) =>
    (await keystead.dataKeys.openMany(items)).map(orProblem(asPlainKey)),
  hash: async (keystead: KeysteadApi, items: Items<typeof hashItem>) =>
    (
      await keystead.hashMany(
        items.map((item) => ({ data: bytesOf(item), ...(item.algorithm !== undefined && { algorithm: item.algorithm }) })),
      )
    ).map(orProblem(asHash)),
  random: async (keystead: KeysteadApi, items: Items<typeof randomItem>) => (await keystead.randomBytesMany(items)).map(orProblem(asBytes)),
  index: async (keystead: KeysteadApi, items: Items<typeof tokensItem>) =>
    (await keystead.datasets.tokensMany(items)).map(
      orProblem((tokens: Awaited<ReturnType<KeysteadApi["datasets"]["tokens"]>>) => ({ tokens })),
    ),
} as const;

export function asTag(tag: string): { tag: string } {
  return { tag };
}

export function asJudgement(valid: boolean): { valid: boolean } {
  return { valid };
}

export function asDataKey({ ciphertext, plaintext }: DataKey): z.input<typeof dataKey> {
  return { ...sealedBy(ciphertext), ...(plaintext !== undefined && { plaintext: plaintext.toString("base64") }) };
}

export function dataKeyOptions({ key: _, purpose: __, ...options }: z.output<typeof dataKeyItem>): DataKeyOptions {
  return options;
}

export function asPlainKey(key: Buffer): { plaintext: string } {
  return { plaintext: key.toString("base64") };
}

export function asHash(hash: Buffer): { hash: string } {
  return { hash: hash.toString("base64") };
}

export function asBytes(bytes: Buffer): { bytes: string } {
  return { bytes: bytes.toString("base64") };
}

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
  const { text, plaintext, value } = item;
  const options = sealOptionsOf(item);
  const target = targetOf(item);
  return value === undefined
    ? { ...options, target, plaintext: text ?? plaintext ?? "" }
    : { ...options, target, value: fromTypedJson(value) };
}

/** What the sealing of an item is bound to. */
export function sealOptionsOf({ context, dataset }: Pick<z.output<typeof sealItem>, "context" | "dataset">): SealOptions {
  const options: Writable<SealOptions> = {};
  if (context !== undefined) options.context = context;
  if (dataset !== undefined) options.dataset = dataset;
  return options;
}

/** A ciphertext with what its header says. */
export function sealedBy(ciphertext: string): Sealed {
  const keyAt = "ks1:".length;
  const label = labelOf(ciphertext);
  return { ciphertext, key: ciphertext.slice(keyAt, ciphertext.indexOf(":", keyAt)), version: Number.parseInt(label, 10), label };
}

/** The data of an item. */
export function bytesOf({ text, data }: { readonly text?: string; readonly data?: Uint8Array }): string | Uint8Array {
  return text ?? data ?? "";
}

/** What the header of a ciphertext says. */
export function headerOf({ ciphertext }: OpenItem): Omit<Sealed, "ciphertext"> {
  const { ciphertext: _, ...header } = sealedBy(ciphertext);
  return header;
}

/** What an item opened to, in the form that was asked for. */
export function opened(item: OpenItem, { plaintext, value }: OpenedItem): Opened {
  if (plaintext === undefined) return { value: toTypedJson(value), ...headerOf(item) };
  const text = item.as === "bytes" ? undefined : decodeUtf8(plaintext);
  return {
    ...(item.as !== "text" && { plaintext: plaintext.toString("base64") }),
    ...(text !== undefined && { text }),
    ...headerOf(item),
  };
}

async function openMany(keystead: KeysteadApi, items: readonly OpenItem[]): Promise<(Opened | Problem)[]> {
  const results = await keystead.decryptMany(items.map(({ as, ...item }) => ({ ...item, typed: as === "value", text: as === "text" })));
  return items.map((item, index) => {
    const result = results[index] ?? { problem: new KeysteadError("INTERNAL", "no result") };
    return isProblem(result) ? problemJson(result.problem) : opened(item, result);
  });
}
