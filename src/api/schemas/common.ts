import { z } from "zod";
import { limits } from "../../audit/record-check.ts";
import { decodeBase64 } from "../../crypto/base64.ts";
import { maxContextPairs } from "../../crypto/limits.ts";
import { assertBatchLength } from "../../keys/data-acts.ts";
import type { KeyTarget } from "../../keys/key-target.ts";

/** A name or an alias of a key. */
export const keyText = z.string().min(1).max(255);
export const purposeText = z.string().min(1).max(64);
export const datasetText = z.string().min(1).max(128);
export const reasonText = z.string().min(1).max(1024);
export const instantText = z.iso.datetime({ offset: true }).max(64);
/** An instant, as a `Date`. */
export const instant = instantText.transform((text) => new Date(text));

/** Pairs of strings that data is bound to. */
export const context = z
  .record(z.string().min(1).max(255), z.string().max(4096))
  .refine((pairs) => Object.keys(pairs).length <= maxContextPairs, `must have at most ${String(maxContextPairs)} pairs`)
  .meta({ maxProperties: maxContextPairs, description: "pairs that data is bound to; visible to policy and audit, never personal data" });

/** Bytes as base64 (RFC 4648, section 4, with padding), strictly. */
export const base64 = z
  .string()
  .meta({ contentEncoding: "base64", pattern: "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$" })
  .transform((text, issues) => {
    const bytes = decodeBase64(text);
    if (bytes !== undefined) return bytes;
    issues.addIssue("must be base64 with padding, without white space");
    return z.NEVER;
  });

/** Exactly one of some members has to be there. */
export function exactlyOne<T extends z.ZodObject>(schema: T, ...names: readonly (keyof z.output<T> & string)[]): T {
  const words = `must have exactly one of ${names.join(", ")}`;
  return schema
    .refine((value) => {
      // Asked of each item of a batch: no list is made for it.
      let count = 0;
      for (const name of names) if (value[name] !== undefined) count++;
      return count === 1;
    }, words)
    .meta({ allOf: [{ oneOf: names.map((name) => ({ required: [name] })) }] });
}

/** Names a key, or a purpose, whose default key is meant. */
export const targetMembers = { key: z.exactOptional(keyText), purpose: z.exactOptional(purposeText) };

/** The key that a body names. */
export function targetOf({ key, purpose }: { readonly key?: string; readonly purpose?: string }): KeyTarget {
  return key ?? { purpose: purpose ?? "" };
}

/** One item, or many of them. */
export function oneOrMany<T extends z.ZodType>(item: T): z.ZodUnion<readonly [z.ZodObject<{ items: z.ZodArray<T> }, z.core.$strict>, T]> {
  return eitherForm(z.strictObject({ items: batchOf(item) }), item);
}

/** The forms of a body that has two. */
interface Forms {
  readonly many: z.ZodType;
  readonly one: z.ZodType;
}

const forms = new WeakMap<z.ZodType, Forms>();

/** The body of a call on one item, or that of one on many. */
export function eitherForm<M extends z.ZodType, T extends z.ZodType>(many: M, one: T): z.ZodUnion<readonly [M, T]> {
  const either = z.union([many, one]);
  forms.set(either, { many, one });
  return either;
}

/**
 * The schema to check a body with: of one that has two forms the one that was meant, as only that says what is wrong.
 * @throws KeysteadError `TOO_LARGE` for more items than a batch may have
 */
export function formOf(schema: z.ZodType, body: unknown): z.ZodType {
  const found = forms.get(schema);
  if (found === undefined) return schema;
  if (typeof body !== "object" || body === null || !("items" in body)) return found.one;
  if (Array.isArray(body.items)) assertBatchLength(body.items);
  return found.many;
}

/** Items of a call on many. */
export function batchOf<T extends z.ZodType>(item: T): z.ZodArray<T> {
  return z.array(item).min(1).max(limits.items);
}

/** The answer to {@link oneOrMany}: for each item in order what it gives, or the problem with it. */
export function oneOrManyAnswers<T extends z.ZodType>(
  answer: T,
): z.ZodUnion<readonly [z.ZodObject<{ items: z.ZodArray<z.ZodUnion<readonly [T, typeof itemProblem]>> }, z.core.$strict>, T]> {
  return z.union([z.strictObject({ items: z.array(z.union([answer, itemProblem])) }), answer]);
}

/** Why an item of a batch failed. */
export const itemProblem = z
  .strictObject({
    problem: z.strictObject({ code: z.string(), status: z.int(), detail: z.string() }),
  })
  .meta({ id: "ItemProblem" });

/** A list that nobody changes. */
export function list<T extends z.ZodType>(item: T): z.ZodReadonly<z.ZodArray<T>> {
  return z.array(item).readonly();
}

/** Texts by name. */
export const texts = z.record(z.string(), z.string()).readonly();
