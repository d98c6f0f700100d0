import { z } from "zod";
import { foreignAlgorithms, type ForeignAlgorithm } from "../foreign-aead.ts";
import { keySource } from "../key-source.ts";
import { type AadTemplate, parseAadTemplate } from "./aad-template.ts";

const algorithms = ["aes-256-gcm", "aes-192-gcm", "aes-128-gcm", "chacha20-poly1305"] as const satisfies readonly ForeignAlgorithm[];
const mostKeys = 16;
const parts = ["nonce", "ciphertext", "tag"] as const;

const aadTemplate = z
  .string()
  .max(1024)
  .transform((text, context): AadTemplate => {
    const template = parseAadTemplate(text);
    if (typeof template !== "string") return template;
    context.issues.push({ code: "custom", input: text, message: template });
    return z.NEVER;
  });

/** Options of the codec `plain-aead`: one cipher, and how its values are written. */
export const plainAeadOptions = z
  .strictObject({
    algorithm: z.enum(algorithms),
    /** Tried in this order: such ciphertext does not name its key. */
    keys: z.array(keySource("raw")).min(1).max(mostKeys).readonly(),
    nonceBytes: z.int().default(12),
    /** The order of the parts. The tag has 16 bytes. */
    layout: z
      .array(z.enum(parts))
      .refine((layout) => parts.every((part) => layout.includes(part)) && layout.length === parts.length, {
        error: "must name nonce, ciphertext and tag, each once",
      })
      .readonly()
      .default([...parts]),
    encoding: z.enum(["base64", "base64url", "hex", "raw"]).default("base64"),
    /** Between the parts, each of which is then encoded on its own. */
    separator: z
      .string()
      .regex(/^[^A-Za-z0-9+/=_-]{1,8}$/, { error: "must be 1 to 8 characters that no encoding has, like : or ." })
      .optional(),
    /** Stands before each value. */
    prefix: z.string().max(64).default(""),
    /** Additional data; none when absent. */
    aad: aadTemplate.prefault(""),
    /** What was sealed. */
    plaintext: z.enum(["text", "bytes"]).default("text"),
  })
  .superRefine(({ algorithm, nonceBytes, encoding, separator }, context) => {
    const { shortestNonce, longestNonce } = foreignAlgorithms[algorithm];
    if (nonceBytes < shortestNonce || nonceBytes > longestNonce) {
      const wanted = shortestNonce === longestNonce ? String(shortestNonce) : `${String(shortestNonce)} to ${String(longestNonce)}`;
      context.addIssue({ code: "custom", path: ["nonceBytes"], message: `must be ${wanted} for ${algorithm}` });
    }
    if (encoding === "raw" && separator !== undefined)
      context.addIssue({ code: "custom", path: ["separator"], message: "can't stand between raw bytes, which may hold it; remove it" });
  });

/** Checked options. */
export type PlainAeadOptions = z.output<typeof plainAeadOptions>;
