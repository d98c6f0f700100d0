import { types } from "node:util";
import { KeysteadError } from "./errors.ts";

/**
 * What an argument must be: undefined for a value that fits, otherwise what is wrong with it. `path` names the argument; the
 * value is never repeated, it may be anything.
 */
export type Rule = (value: unknown, path: string) => string | undefined;

/** The rules of an options object: one for each property of its type, so that neither is forgotten when the other changes. */
export type Shape<T> = { readonly [Name in keyof Required<T>]: Rule };

/**
 * Checks the arguments of a public method, whatever a program without types gave.
 * @param values - the arguments by name
 * @throws KeysteadError `INVALID_ARGUMENT` naming the argument, and for an unknown property those that are known
 * @example
 * assertArguments({ name, options }, { name: text, options: optional(object<RotateKeyOptions>({ … })) });
 */
export function assertArguments<T extends Readonly<Record<string, unknown>>>(values: T, rules: Shape<T>): void {
  for (const name in rules) {
    const problem = rules[name](values[name], name);
    if (problem !== undefined) throw new KeysteadError("INVALID_ARGUMENT", problem);
  }
}

/** Anything for which `fits` is true. @param what - ends the sentence "… must be" */
export function rule(what: string, fits: (value: unknown) => boolean): Rule {
  return (value, path) => (fits(value) ? undefined : `${path} must be ${what}`);
}

export const text = rule("text", (value) => typeof value === "string");
export const number = rule("a number", (value) => typeof value === "number");
export const flag = rule("true or false", (value) => typeof value === "boolean");
export const date = rule("a Date", (value) => types.isDate(value));
export const bytes = rule("bytes (a Uint8Array)", (value) => types.isUint8Array(value));
export const callback = rule("a function", (value) => typeof value === "function");
export const textOrBytes = rule("text or bytes (a Uint8Array)", (value) => typeof value === "string" || types.isUint8Array(value));

/** A value that the act itself checks. */
export const anything: Rule = () => undefined;

/** Something with these methods, whatever class it is of. */
export function having(what: string, ...methods: readonly PropertyKey[]): Rule {
  return rule(what, (value) => {
    if (typeof value !== "object" || value === null) return false;
    return methods.every((method) => typeof Reflect.get(value, method) === "function");
  });
}

/** One of some words. */
export function choice(...words: readonly string[]): Rule {
  return rule(`one of ${words.join(", ")}`, (value) => words.some((word) => word === value));
}

/** Absent, or what the rule says. */
export function optional(inner: Rule): Rule {
  return (value, path) => (value === undefined ? undefined : inner(value, path));
}

/** `null`, or what the rule says. */
export function nullable(inner: Rule): Rule {
  return (value, path) => (value === null ? undefined : inner(value, path));
}

/** What one of two rules says: the first for text, the second for everything else. */
export function textOr(inner: Rule): Rule {
  return (value, path) => (typeof value === "string" ? undefined : inner(value, path));
}

/** One word, or what the rule says. */
export function wordOr(word: string, inner: Rule): Rule {
  return (value, path) => (value === word ? undefined : inner(value, path));
}

/** A plain object of one of several forms, told by the property that only this form has. */
export function either(forms: Readonly<Record<string, Rule>>): Rule {
  const names = Object.keys(forms);
  return (value, path) => {
    const found = isPlainObject(value) ? names.filter((name) => value[name] !== undefined) : [];
    const form = found.length === 1 ? forms[found[0] ?? ""] : undefined;
    return form === undefined ? `${path} must be a plain object with one of ${names.join(", ")}` : form(value, path);
  };
}

/** An array of what the rule says. */
export function listOf(inner: Rule): Rule {
  return (value, path) => {
    if (!Array.isArray(value)) return `${path} must be an array`;
    for (let index = 0; index < value.length; index++) {
      const member: unknown = value[index];
      if (inner(member, path) !== undefined) return inner(member, `${path}[${index}]`);
    }
    return undefined;
  };
}

/** A plain object with any names, each with what the rule says. Names are the caller's data and not repeated. */
export function recordOf(inner: Rule): Rule {
  return (value, path) => {
    if (!isPlainObject(value)) return `${path} must be a plain object`;
    for (const name of Object.keys(value)) if (inner(value[name], path) !== undefined) return inner(value[name], `${path}.*`);
    return undefined;
  };
}

/** A plain object with these properties and no others: what is misspelt must not be left out without a word. */
export function object<T>(shape: Shape<T>): Rule {
  const rules = Object.entries<Rule>(shape);
  const known = rules.map(([name]) => name);
  return (value, path) => {
    if (!isPlainObject(value)) return `${path} must be a plain object with ${known.join(", ")}`;
    for (const name of Object.keys(value)) {
      if (!known.includes(name)) return `${path} has an unknown property; known are ${known.join(", ")}`;
    }
    for (const [name, inner] of rules) {
      const member = Object.hasOwn(value, name) ? value[name] : undefined;
      // Only a problem needs the whole path, and nearly nothing has one.
      if (inner(member, name) !== undefined) return inner(member, `${path}.${name}`);
    }
    return undefined;
  };
}

/** An array, a Map or an instance has other data than its own properties, which would be left out without a word. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Object.prototype of any realm is what has no prototype itself.
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}
