import { z } from "zod";
import { hashNames, mostRandomBytes } from "../../keys/keyless-service.ts";
import { typedValue } from "../value-json.ts";
import { base64, batchOf, context, datasetText, eitherForm, exactlyOne, keyText, list, targetMembers } from "./common.ts";

const bound = { context: z.exactOptional(context) };
const dataset = z.exactOptional(datasetText).meta({ description: "dataset that will hold the ciphertext: its census speaks for it" });
const ciphertext = z.string();
const bytesOrText = { text: z.exactOptional(z.string()), plaintext: z.exactOptional(base64) };

/** What is sealed, and under which key. */
export const sealItem = exactlyOne(
  exactlyOne(z.strictObject({ ...targetMembers, ...bytesOrText, value: z.exactOptional(typedValue), ...bound, dataset }), "key", "purpose"),
  "text",
  "plaintext",
  "value",
);
/** What is opened. */
export const openItem = z.strictObject({
  ciphertext,
  ...bound,
  /** Absent: `plaintext`, and `text` where it is UTF-8. */
  as: z.exactOptional(z.enum(["text", "bytes", "value"])),
});
const revealItem = z.strictObject({ ciphertext, ...bound });
const revealReason = {
  reason: z.exactOptional(
    z
      .string()
      .min(1)
      .max(500)
      .meta({ description: "why the plaintext is needed: a ticket or a task, without control characters; kept in the audit" }),
  ),
};
/** What is shown to a person, and why. */
export const revealBody = eitherForm(z.strictObject({ items: batchOf(revealItem), ...revealReason }), revealItem.extend(revealReason));
/** A field as its reader may see it. */
export const revealed = z.strictObject({
  text: z.string(),
  masked: z.boolean(),
  key: z.string(),
  version: z.int(),
  label: z.string(),
});
/** What is moved. */
export const rewrapItem = z.strictObject({ ciphertext, ...bound, key: z.exactOptional(keyText), dataset });
const dataItem = { text: z.exactOptional(z.string()), data: z.exactOptional(base64) };
/** What is tagged. */
export const macItem = exactlyOne(exactlyOne(z.strictObject({ ...targetMembers, ...dataItem }), "key", "purpose"), "text", "data");
/** A tag, and what it is of. */
export const verifyItem = exactlyOne(
  exactlyOne(z.strictObject({ ...targetMembers, ...dataItem, tag: z.string() }), "key", "purpose"),
  "text",
  "data",
);
/** A data key to be made. */
export const dataKeyItem = exactlyOne(
  z.strictObject({ ...targetMembers, ...bound, bytes: z.exactOptional(z.int().min(16).max(64)), plain: z.exactOptional(z.boolean()) }),
  "key",
  "purpose",
);
/** A sealed data key. */
export const sealedKeyItem = z.strictObject({ ciphertext, ...bound });
/** What is hashed. */
export const hashItem = exactlyOne(z.strictObject({ ...dataItem, algorithm: z.exactOptional(z.enum(hashNames)) }), "text", "data");

/** A ciphertext with what its header says. */
export const sealed = z.strictObject({ ciphertext: z.string(), key: z.string(), version: z.int(), label: z.string() });
/** What a ciphertext opened to. */
export const openedItem = z.strictObject({
  plaintext: z.exactOptional(z.string().meta({ contentEncoding: "base64" })),
  text: z.exactOptional(z.string()),
  value: z.exactOptional(typedValue),
  key: z.string(),
  version: z.int(),
  label: z.string(),
});
/** A data key. */
export const dataKey = sealed.extend({ plaintext: z.exactOptional(z.string().meta({ contentEncoding: "base64" })) });

/** Random bytes. */
export const randomItem = z.strictObject({ bytes: z.int().min(1).max(mostRandomBytes) });
export const randomBytes = z.strictObject({ bytes: z.string().meta({ contentEncoding: "base64" }) });
export const openedKey = z.strictObject({ plaintext: z.string().meta({ contentEncoding: "base64" }) });
export const hashed = z.strictObject({ hash: z.string().meta({ contentEncoding: "base64" }) });
export const tagged = z.strictObject({ tag: z.string() });
export const judged = z.strictObject({ valid: z.boolean() });
/** A search whose tokens are asked for, and its tokens. */
export const tokensItem = z.strictObject({ dataset: datasetText, index: datasetText, values: list(z.union([z.string(), z.number()])) });
export const tokensFound = z.strictObject({ tokens: list(z.strictObject({ column: z.string(), tokens: list(z.string()) })) });
