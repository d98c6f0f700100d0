import { types } from "node:util";
import { assertArguments, rule } from "../arguments.ts";
import type { Context } from "../crypto/context.ts";
import type { FieldValue } from "../crypto/typed-value.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import { BlindIndex } from "./blind-index.ts";
import { type CanonicalValue, isCanonicalValue } from "./canonical-text.ts";
import { contextOfColumn, renderContext } from "./context-template.ts";
import type { FieldKey } from "./field-key.ts";
import type {
  FieldDefinition,
  FieldDefinitions,
  FieldSpecification,
  PlainRecord,
  RecordIndex,
  SealedRecord,
  ShadowDefinition,
} from "./field-specification.ts";
import { fieldTypes } from "./field-types.ts";
import { isCiphertext, readPlain } from "./plain-cell.ts";

type AnyRecord = Readonly<Record<string, unknown>>;

interface OpenedField extends FieldDefinition {
  readonly name: string;
  readonly opened: FieldKey;
}

/** A field whose plaintext is stored beside its ciphertext. */
interface ShadowField extends ShadowDefinition {
  readonly field: OpenedField;
}

/** What a stored record that a search finds has, and where. */
export interface RecordSearch {
  /** Property of the stored record, which is the column of the dataset. */
  readonly property: string;
  readonly tokens: readonly string[];
}

const aRecord = rule("an object with a property for each field", (value) => typeof value === "object" && value !== null);

/**
 * Encrypts and decrypts records by a field specification, and keeps their blind indexes.
 *
 * Protected fields keep their type; null stays null, an absent or undefined field stays absent, every other property passes
 * unchanged. Errors name the field and never a value.
 *
 * @example
 * const people = new RecordCipher(person, { "pii-email": emailKey, "pii-date": dateKey, "pii-index": indexKey });
 * const stored = people.encrypt({ id: 7, email: "anna@example.org", born: new Date("1980-05-01") });
 * // { id: 7, email: "ks1:pii-email:…", born: "ks1:pii-date:…", email_index: "1.3kA" }
 * people.decrypt(stored); // { id: 7, email: "anna@example.org", born: 1980-05-01T00:00:00.000Z }
 * people.search("email_index", "Anna@example.org"); // { property: "email_index", tokens: ["1.3kA"] }
 */
export class RecordCipher<F extends FieldDefinitions> {
  readonly #specification: FieldSpecification<F>;
  readonly #fields: ReadonlyMap<string, OpenedField>;
  readonly #shadows: readonly ShadowField[];
  /** Properties of the stored record that are none of the record itself. */
  readonly #added: ReadonlySet<string>;
  readonly #indexes: ReadonlyMap<string, LazyIndex>;

  /**
   * @param keys - Opened keys by the names that the specification uses.
   * @throws KeysteadError `UNKNOWN_KEY` naming a key that is missing; what opening an index throws, but for `KEY_STATE`: a version
   * that makes no tokens is told by what needs them, and records open all the same.
   */
  constructor(specification: FieldSpecification<F>, keys: Readonly<Record<string, FieldKey>>) {
    this.#specification = specification;
    const fields = Object.entries<FieldDefinition>(specification.fields).map(([name, field]): OpenedField => ({
      ...field,
      name,
      opened: keyNamed(keys, field.key),
    }));
    this.#fields = new Map(fields.filter(({ name }) => !specification.shadows.has(name)).map((field) => [field.name, field]));
    this.#shadows = fields.flatMap((field) => {
      const shadow = specification.shadows.get(field.name);
      return shadow === undefined ? [] : [{ ...shadow, field: { ...field, plaintext: "refused" } }];
    });
    this.#indexes = new Map(specification.indexes.map((index) => [index.property, new LazyIndex(index, keyNamed(keys, index.key))]));
    this.#added = new Set([
      ...this.#indexes.keys(),
      ...this.#shadows.flatMap(({ field, sealed, plaintext }) => [field.name, sealed, plaintext]),
    ]);
  }

  /**
   * The record as it is stored. Tokens are made anew wherever the fields of an index are there.
   *
   * @throws KeysteadError `INVALID_ARGUMENT` for a value of another type than declared, for a context column that is null, and
   * for a record with some fields of a compound index but not all; for ciphertext that would be written as plaintext; `KEY_STATE` for a
   * version of an index that makes no tokens; what the key throws.
   */
  encrypt(record: PlainRecord<F>): SealedRecord<F> {
    assertArguments({ record }, { record: aRecord });
    const context = this.#context(record);
    const kept = Object.entries<unknown>(record).filter(([name]) => !this.#added.has(name));
    const replaced = this.#replaceFields(kept, (field, value) => encryptField(field, value, context));
    const shadows = this.#shadows.flatMap((shadow) => encryptShadow(shadow, ownValue(record, shadow.field.name), context));
    const sealed = [...replaced, ...shadows];
    const tokens = [...this.#indexes.values()].flatMap((index) => index.tokenEntry(record));
    const stored: AnyRecord = Object.fromEntries([...sealed, ...tokens]);
    if (!isSealed(this.#specification.fields, stored)) throw internal();
    return stored;
  }

  /**
   * The record as it was, without its tokens. A value of another type becomes the declared one where nothing is lost by it. In a field
   * that accepts plaintext, what does not parse as ciphertext is plaintext; what parses and does not open is an error all the same.
   *
   * @throws KeysteadError `INVALID_ARGUMENT` when that is not possible, when a protected field holds neither text nor bytes, and
   * for a context column that is null; what the key throws.
   */
  decrypt(stored: AnyRecord): PlainRecord<F> {
    assertArguments({ stored }, { stored: aRecord });
    const context = this.#context(stored);
    const kept = Object.entries(stored).filter(([name]) => !this.#added.has(name));
    const opened = this.#replaceFields(kept, (field, value) => decryptField(field, value, context));
    const shadows = this.#shadows.flatMap((shadow) => decryptShadow(shadow, stored, context));
    const record: AnyRecord = Object.fromEntries([...opened, ...shadows]);
    if (!isPlain(this.#specification.fields, record)) throw internal();
    return record;
  }

  /**
   * What the stored records that a search finds have. While one generation of a registered index takes the place of another, this
   * is the property that the registry says to ask.
   *
   * @param index - Logical name of a registered index; the property of any other.
   * @param search - The value, or one for each field of a compound index.
   * @throws KeysteadError `INVALID_ARGUMENT` for an unknown index and when there is nothing to search for; `KEY_STATE`.
   */
  search(index: string, search: CanonicalValue | readonly CanonicalValue[]): RecordSearch {
    const asked = [...this.#indexes.values()].find(({ record: { name, searched } }) => name === index && searched);
    if (asked === undefined) throw unknownIndex([...this.#indexes.values()].map(({ record }) => record.name));
    return { property: asked.record.property, tokens: asked.blind.queryTokens(listOf(search)) };
  }

  /**
   * The tokens that the stored records found by a search have in one property.
   *
   * @param search - The value, or one for each field of a compound index.
   * @throws KeysteadError `INVALID_ARGUMENT` for an unknown property and when there is nothing to search for; `KEY_STATE`.
   */
  queryTokens(property: string, search: CanonicalValue | readonly CanonicalValue[]): readonly string[] {
    return this.#indexNamed(property).blind.queryTokens(listOf(search));
  }

  /** True when a decrypted record is what the search is for: tokens are short, so records of other values share them. */
  matches(property: string, record: PlainRecord<F>, search: CanonicalValue | readonly CanonicalValue[]): boolean {
    const { record: specified, blind } = this.#indexNamed(property);
    return blind.matches(indexedValues(specified.fields, record), listOf(search));
  }

  /** The context of a row, rendered when a field first needs it. */
  #context(record: AnyRecord): () => Context {
    let context: Context | undefined;
    return () => (context ??= renderContext(this.#specification.context, record));
  }

  #replaceFields(
    entries: readonly (readonly [string, unknown])[],
    replace: (field: OpenedField, value: unknown) => unknown,
  ): readonly (readonly [string, unknown])[] {
    return entries.flatMap(([name, value]) => {
      const field = this.#fields.get(name);
      if (field === undefined || value === null) return [[name, value] as const];
      return value === undefined ? [] : [[name, named(field, () => replace(field, value))] as const];
    });
  }

  #indexNamed(property: string): LazyIndex {
    const index = this.#indexes.get(property);
    if (index !== undefined) return index;
    throw unknownIndex([...this.#indexes.keys()]);
  }
}

/** An index of a record. It is opened at once if the state of its key version permits, and otherwise when it is needed. */
class LazyIndex {
  readonly record: RecordIndex;
  readonly #key: FieldKey;
  #blind: BlindIndex | undefined;

  constructor(record: RecordIndex, key: FieldKey) {
    this.record = record;
    this.#key = key;
    try {
      this.#blind = this.#open();
    } catch (error) {
      if (!isKeysteadError(error, "KEY_STATE")) throw error;
    }
  }

  /** @throws KeysteadError `KEY_STATE` */
  get blind(): BlindIndex {
    return (this.#blind ??= this.#open());
  }

  /** The property with its token, if the fields are there. */
  tokenEntry(record: AnyRecord): readonly (readonly [string, string | null])[] {
    const { property, fields } = this.record;
    const missing = fields.filter((field) => ownValue(record, field) === undefined);
    if (missing.length === fields.length) return [];
    if (missing.length === 0) return [[property, this.blind.token(indexedValues(fields, record))]];
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      `index ${property} also needs ${missing.join(", ")}: pass all of its fields, null where there is no value`,
    );
  }

  #open(): BlindIndex {
    return BlindIndex.open(this.#key, this.record.generations);
  }
}

function encryptField({ name, type, form, plaintext, opened }: OpenedField, value: unknown, context: () => Context): unknown {
  const { is, holds } = fieldTypes[type];
  if (!is(value)) throw new KeysteadError("INVALID_ARGUMENT", `the value is not ${holds}: pass one, or declare another type`);
  if (plaintext === "written") return unlikeCiphertext(value);
  const bound = contextOfColumn(context(), name);
  return form === "binary" ? opened.encryptValueBytes(value, bound) : opened.encryptValue(value, bound);
}

function decryptField(field: OpenedField, value: unknown, context: () => Context): unknown {
  const { name, type, plaintext = "refused", opened } = field;
  const { coerce, holds } = fieldTypes[type];
  const open = (): FieldValue | undefined => {
    if (typeof value === "string" || types.isUint8Array(value)) return coerce(opened.decryptValue(value, contextOfColumn(context(), name)));
    throw new KeysteadError("INVALID_ARGUMENT", "the stored value is neither text nor bytes: protect the column first");
  };
  const plain = plaintext === "refused" || isCiphertext(value) ? open() : readPlain(type, value);
  if (plain !== undefined) return plain;
  throw new KeysteadError("INVALID_ARGUMENT", `the stored value can't become ${holds} without loss: declare the type that it has`);
}

/** The ciphertext, and beside it the plaintext for as long as there are processes that read it. */
function encryptShadow(
  { field, sealed, plaintext, use }: ShadowField,
  value: unknown,
  context: () => Context,
): readonly (readonly [string, unknown])[] {
  if (value === undefined) return [];
  const ciphertext = value === null ? null : named(field, () => encryptField(field, value, context));
  if (use === "erased") return [[sealed, ciphertext]];
  return [
    [sealed, ciphertext],
    [plaintext, use === "none" ? null : named(field, () => unlikeCiphertext(value))],
  ];
}

/** What counts of the two. Ciphertext that is there has to open, whichever counts. */
function decryptShadow(
  { field, sealed, plaintext, use }: ShadowField,
  stored: AnyRecord,
  context: () => Context,
): readonly (readonly [string, unknown])[] {
  const [ciphertext, plain] = [ownValue(stored, sealed), ownValue(stored, plaintext)];
  if (use === "read" && plain === undefined && ciphertext !== undefined)
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      `field ${field.name} needs property ${plaintext}, too, until its column is cut over: select it`,
    );
  const opened =
    ciphertext === undefined || ciphertext === null ? ciphertext : named(field, () => decryptField(field, ciphertext, context));
  if (use !== "read") return opened === undefined ? [] : [[field.name, opened]];
  if (plain === undefined || plain === null) return plain === undefined ? [] : [[field.name, null]];
  // A process of an older release may have changed the plaintext alone.
  return [[field.name, named(field, () => decryptField({ ...field, plaintext: "accepted" }, unlikeCiphertext(plain), context))]];
}

/** Plaintext that reads as ciphertext would never be read again. */
function unlikeCiphertext(value: unknown): unknown {
  if (!isCiphertext(value)) return value;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    "the value is Keystead ciphertext itself, which can't be told from protected values: refuse it",
  );
}

function indexedValues(fields: readonly string[], record: AnyRecord): readonly CanonicalValue[] {
  return fields.map((field) => {
    const value = ownValue(record, field);
    if (isCanonicalValue(value)) return value;
    throw new KeysteadError("INVALID_ARGUMENT", `field ${field} holds something that has no one text: leave it out of the index`);
  });
}

function ownValue(record: AnyRecord, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function listOf(search: CanonicalValue | readonly CanonicalValue[]): readonly CanonicalValue[] {
  return isList(search) ? search : [search];
}

function isList(search: CanonicalValue | readonly CanonicalValue[]): search is readonly CanonicalValue[] {
  return Array.isArray(search);
}

function unknownIndex(names: readonly string[]): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", `there is no such index: use one of ${[...new Set(names)].join(", ") || "none"}`);
}

function keyNamed(keys: Readonly<Record<string, FieldKey>>, name: string): FieldKey {
  const key = Object.hasOwn(keys, name) ? keys[name] : undefined;
  if (key === undefined) throw new KeysteadError("UNKNOWN_KEY", `the field specification needs key ${name}: open it and pass it along`);
  return key;
}

function named<T>({ name }: OpenedField, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof KeysteadError)) throw error;
    throw new KeysteadError(error.code, `field ${name}: ${error.message}`, { cause: error });
  }
}

function isSealed<F extends FieldDefinitions>(fields: F, stored: AnyRecord): stored is SealedRecord<F> {
  return Object.entries<FieldDefinition>(fields).every(([name, { type, form, plaintext }]) => {
    const value = ownValue(stored, name);
    if (value === undefined || value === null) return true;
    if (plaintext === "written") return fieldTypes[type].is(value);
    return form === "binary" ? Buffer.isBuffer(value) : typeof value === "string";
  });
}

function isPlain<F extends FieldDefinitions>(fields: F, record: AnyRecord): record is PlainRecord<F> {
  return Object.entries<FieldDefinition>(fields).every(([name, { type }]) => {
    const value = ownValue(record, name);
    return value === undefined || value === null || fieldTypes[type].is(value);
  });
}

function internal(): KeysteadError {
  return new KeysteadError("INTERNAL", "a record came out with other types than its specification: report this");
}
