import { fromTypedJson } from "../../crypto/typed-json.ts";
import { jsonRoute, usual } from "../route-row.ts";
import { problems } from "../route-problems.ts";
import { oneOrMany, oneOrManyAnswers, targetOf } from "../schemas/common.ts";
import {
  dataKey,
  dataKeyItem,
  hashed,
  hashItem,
  judged,
  macItem,
  openedItem,
  openedKey,
  openItem,
  randomBytes,
  randomItem,
  revealBody,
  revealed,
  rewrapItem,
  sealed,
  sealedKeyItem,
  sealItem,
  tagged,
  tokensFound,
  tokensItem,
  verifyItem,
} from "../schemas/data.ts";
import {
  asBytes,
  asDataKey,
  asHash,
  asJudgement,
  asPlainKey,
  asTag,
  bytesOf,
  dataKeyOptions,
  dataMany,
  headerOf,
  opened,
  sealedBy,
  sealOptionsOf,
} from "./data-many.ts";

/** Operations on data. */
export const dataRoutes = {
  "POST /v1/encrypt": jsonRoute({
    ...usual,
    summary: "Seal text, bytes or a typed value under the current version of a key.",
    tag: "data",
    action: "data.encrypt",
    idempotent: true,
    problems: problems.sealing,
    body: oneOrMany(sealItem),
    answer: oneOrManyAnswers(sealed),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: await dataMany.encrypt(keystead, body.items) };
      const { text, plaintext, value } = body;
      const options = sealOptionsOf(body);
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
    problems: problems.opening,
    body: oneOrMany(openItem),
    answer: oneOrManyAnswers(openedItem),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: await dataMany.decrypt(keystead, body.items) };
      const { ciphertext, context, as } = body;
      const options = context === undefined ? {} : { context };
      if (as === "value") return opened(body, { value: await keystead.decryptValue(ciphertext, options) });
      if (as === "text") return { text: await keystead.decryptText(ciphertext, options), ...headerOf(body) };
      return opened(body, { plaintext: await keystead.decrypt(ciphertext, options) });
    },
  }),
  "POST /v1/reveal": jsonRoute({
    ...usual,
    summary: "Show a field to a person: its plaintext for a reason, or the masked form that policies say.",
    tag: "data",
    action: "data.reveal",
    idempotent: true,
    problems: ["REASON_REQUIRED", ...problems.opening],
    body: revealBody,
    answer: oneOrManyAnswers(revealed),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: await dataMany.reveal(keystead, body) };
      const { ciphertext, ...options } = body;
      return keystead.reveal(ciphertext, options);
    },
  }),
  "POST /v1/rewrap": jsonRoute({
    ...usual,
    summary: "Move ciphertext to the current version of its key, or to another key, without showing what it seals.",
    tag: "data",
    action: "data.rewrap",
    idempotent: true,
    problems: [...problems.opening, ...problems.sealing],
    body: oneOrMany(rewrapItem),
    answer: oneOrManyAnswers(sealed),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: await dataMany.rewrap(keystead, body.items) };
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
    problems: problems.tagging,
    body: oneOrMany(macItem),
    answer: oneOrManyAnswers(tagged),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: await dataMany.mac(keystead, body.items) };
      return asTag(await keystead.mac(targetOf(body), bytesOf(body)));
    },
  }),
  "POST /v1/mac/verify": jsonRoute({
    ...usual,
    summary: "Check an authentication tag.",
    tag: "data",
    action: "data.verify-mac",
    idempotent: true,
    problems: problems.tagging,
    body: oneOrMany(verifyItem),
    answer: oneOrManyAnswers(judged),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: await dataMany.verifyMac(keystead, body.items) };
      return asJudgement(await keystead.verifyMac(targetOf(body), bytesOf(body), body.tag));
    },
  }),
  "POST /v1/data-keys": jsonRoute({
    ...usual,
    summary: "Make a data key for use elsewhere, sealed under a key; `plain: false` answers the sealed form alone.",
    tag: "data",
    action: "data-keys.create-plain",
    otherActions: ["data-keys.create"],
    idempotent: true,
    problems: problems.sealing,
    body: oneOrMany(dataKeyItem),
    answer: oneOrManyAnswers(dataKey),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: await dataMany.createDataKeys(keystead, body.items) };
      return asDataKey(await keystead.dataKeys.create(targetOf(body), dataKeyOptions(body)));
    },
  }),
  "POST /v1/data-keys/open": jsonRoute({
    ...usual,
    summary: "Open a sealed data key.",
    tag: "data",
    action: "data-keys.open",
    idempotent: true,
    problems: problems.opening,
    body: oneOrMany(sealedKeyItem),
    answer: oneOrManyAnswers(openedKey),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: await dataMany.openDataKeys(keystead, body.items) };
      const { ciphertext, ...options } = body;
      return asPlainKey(await keystead.dataKeys.open(ciphertext, options));
    },
  }),
  "POST /v1/hash": jsonRoute({
    ...usual,
    summary: "Hash data with SHA-2 or SHA-3.",
    tag: "data",
    action: "data.hash",
    idempotent: true,
    body: oneOrMany(hashItem),
    answer: oneOrManyAnswers(hashed),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: await dataMany.hash(keystead, body.items) };
      return asHash(await keystead.hash(bytesOf(body), body.algorithm));
    },
  }),
  "POST /v1/random": jsonRoute({
    ...usual,
    summary: "Random bytes of the host that keeps the keys.",
    tag: "data",
    action: "data.random",
    idempotent: true,
    body: oneOrMany(randomItem),
    answer: oneOrManyAnswers(randomBytes),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: await dataMany.random(keystead, body.items) };
      return asBytes(await keystead.randomBytes(body.bytes));
    },
  }),
  "POST /v1/index": jsonRoute({
    ...usual,
    summary: "The tokens by which a blind index finds values, of each live generation. They tell equal values apart.",
    tag: "data",
    action: "data.index",
    idempotent: true,
    problems: problems.searching,
    body: oneOrMany(tokensItem),
    answer: oneOrManyAnswers(tokensFound),
    handle: async (keystead, { body }) => {
      if ("items" in body) return { items: await dataMany.index(keystead, body.items) };
      return { tokens: await keystead.datasets.tokens(body.dataset, body.index, body.values) };
    },
  }),
} as const;
