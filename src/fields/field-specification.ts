import {
  anything,
  assertArguments,
  choice,
  either,
  flag,
  listOf,
  number,
  object,
  optional,
  recordOf,
  type Rule,
  text,
} from "../arguments.ts";
import { type IndexSpec, indexSpecShape } from "../crypto/blind-index.ts";
import { KeysteadError } from "../errors.ts";
import { createIndexSpec } from "./blind-index.ts";
import { type CompiledContextTemplate, compileContextTemplate, type ContextColumns, type ContextTemplate } from "./context-template.ts";
import { fieldTypes, type FieldTypeName, type ValueOfType } from "./field-types.ts";

/** A blind index over one field. */
export interface FieldIndexDefinition {
  /** Name of the blind-index key. */
  readonly key: string;
  /** `exact`, `last(4)`, `soundex` or `metaphone`. */
  readonly kind: string;
  /** `text` when left out. */
  readonly normaliser?: string;
  /** Bits of a token, 8 to 256, as the index planner advises. */
  readonly bits: number;
  /** 1 when left out. */
  readonly generation?: number;
  /** Version of the key; 1 when left out. */
  readonly keyVersion?: number;
}

/** A blind index over several fields: rows with the same values in all of them. */
export interface CompoundIndexDefinition extends Omit<FieldIndexDefinition, "kind" | "normaliser"> {
  readonly fields: readonly string[];
  /** One for each field; `text` when left out. */
  readonly normalisers?: readonly string[];
}

/** An index of a registered dataset, as the registry describes generations that one property takes. Their columns are names of fields. */
export interface RegisteredIndexDefinition {
  readonly key: string;
  /** Logical name of the index. While one generation takes the place of another, two properties are of the same index. */
  readonly index?: string;
  /** True for the property that searches by the index are to ask. */
  readonly searched?: boolean;
  readonly generations: readonly IndexSpec[];
}

/** One protected field of a record. */
export interface FieldDefinition {
  /** Name of the key that protects it. */
  readonly key: string;
  readonly type: FieldTypeName;
  /** Ciphertext as text (the default), or as bytes for a binary column. */
  readonly form?: "text" | "binary";
  /**
   * For as long as a column changes over to ciphertext; `refused` when left out. `accepted`: what does not parse strictly as Keystead
   * ciphertext is read as plaintext, and ciphertext is written. `written`: the same is read, and plaintext written, for processes
   * of an older release that read nothing else. What parses and does not open is an error, never plaintext.
   */
  readonly plaintext?: "refused" | "accepted" | "written";
  /** Its blind indexes, by the property of the stored record that takes the token. */
  readonly indexes?: Readonly<Record<string, FieldIndexDefinition>>;
}

/** Protected fields by name. */
export type FieldDefinitions = Readonly<Record<string, FieldDefinition>>;

/** Where the ciphertext and the plaintext of a field are, while one takes the place of the other. Properties of the stored record. */
export interface ShadowDefinition {
  readonly sealed: string;
  readonly plaintext: string;
  /**
   * `read`: the plaintext counts, and both are written. `written`: the ciphertext counts, and both are written. `none`: the plaintext is
   * to go, and null is written. `erased`: it is gone, and nothing is written to its column.
   */
  readonly use: "read" | "written" | "none" | "erased";
}

/** What holds for the record as a whole. */
export interface RecordDefinition {
  /** Id of the dataset, which separates its index keys from those of others. Needed by indexes that are defined here. */
  readonly datasetId?: string;
  /** What every ciphertext is bound to, beside the name of its field as `column`. Nothing more when left out. */
  readonly context?: ContextTemplate;
  /** Unprotected properties that the template may name. */
  readonly contextColumns?: ContextColumns;
  /** Further indexes, by the property of the stored record that takes the token. */
  readonly indexes?: Readonly<Record<string, CompoundIndexDefinition | RegisteredIndexDefinition>>;
  /** Fields whose plaintext is stored beside their ciphertext, by field. */
  readonly shadows?: Readonly<Record<string, ShadowDefinition>>;
}

const indexShape = { key: text, bits: number, generation: optional(number), keyVersion: optional(number) };
const fieldIndex = object<FieldIndexDefinition>({ ...indexShape, kind: text, normaliser: optional(text) });
const field = object<FieldDefinition>({
  key: text,
  type: text,
  form: optional(choice("text", "binary")),
  plaintext: optional(choice("refused", "accepted", "written")),
  indexes: optional(recordOf(fieldIndex)),
});
const contextColumns: Rule = (value, path) => (Array.isArray(value) ? listOf(text) : recordOf(text))(value, path);
const recordIndex = either({
  fields: object<CompoundIndexDefinition>({ ...indexShape, fields: listOf(text), normalisers: optional(listOf(text)) }),
  generations: object<RegisteredIndexDefinition>({
    key: text,
    index: optional(text),
    searched: optional(flag),
    generations: listOf(object(indexSpecShape)),
  }),
});
const rules = {
  fields: recordOf(field),
  record: object<RecordDefinition>({
    datasetId: optional(text),
    context: optional(recordOf(anything)),
    contextColumns: optional(contextColumns),
    indexes: optional(recordOf(recordIndex)),
    shadows: optional(
      recordOf(object<ShadowDefinition>({ sealed: text, plaintext: text, use: choice("read", "written", "none", "erased") })),
    ),
  }),
};

/** An index of a record. */
export interface RecordIndex {
  /** Property of the stored record that takes the token. */
  readonly property: string;
  /** Name by which it is searched: of a registered index its logical name, of others the property. */
  readonly name: string;
  /** True for the property that searches of that name ask. */
  readonly searched: boolean;
  readonly key: string;
  readonly fields: readonly string[];
  /** Live generations. */
  readonly generations: readonly IndexSpec[];
}

/** A field specification that was checked. */
export interface FieldSpecification<F extends FieldDefinitions> {
  readonly fields: F;
  readonly context: CompiledContextTemplate;
  readonly indexes: readonly RecordIndex[];
  /** By field. */
  readonly shadows: ReadonlyMap<string, ShadowDefinition>;
}

/** A record as the program sees it: protected fields with their types, everything else as it is. */
export type PlainRecord<F extends FieldDefinitions> = Readonly<Record<string, unknown>> & {
  readonly [N in keyof F]?: ValueOfType<F[N]["type"]> | null | undefined;
};

/** A record as it is stored: protected fields as ciphertext, tokens beside them, everything else as it is. */
export type SealedRecord<F extends FieldDefinitions> = Readonly<Record<string, unknown>> & {
  readonly [N in keyof F]?: StoredValue<F[N]> | null;
};

type StoredValue<D extends FieldDefinition> = D extends { readonly plaintext: "written" }
  ? ValueOfType<D["type"]>
  : D extends { readonly form: "binary" }
    ? Buffer
    : string;

/**
 * Says how the fields of a record are protected and found again.
 *
 * @example
 * const person = defineFields(
 *   {
 *     email: { key: "pii-email", type: "string", indexes: { email_index: { key: "pii-index", kind: "exact", normaliser: "email", bits: 12 } } },
 *     born: { key: "pii-date", type: "date" },
 *   },
 *   { datasetId: "crm.person", context: { table: "person", row: "{id}" }, contextColumns: ["id"] },
 * );
 * @throws KeysteadError `INVALID_ARGUMENT` for unknown types, kinds and normalisers, for a context that names unknown or
 * protected columns, for two uses of one property, and for an index over JSON or over fields that there are not.
 */
export function defineFields<const F extends FieldDefinitions>(fields: F, record: RecordDefinition = {}): FieldSpecification<F> {
  assertArguments({ fields, record }, rules);
  const context = compileContextTemplate(record.context ?? {}, record.contextColumns ?? []);
  const protectedColumn = context.columns.find((column) => Object.hasOwn(fields, column));
  if (protectedColumn !== undefined) {
    throw invalid(`context names ${protectedColumn}, which is protected: bind columns that are stored as they are`);
  }
  const indexes = [...fieldIndexes(fields, record.datasetId), ...recordIndexes(record)];
  const shadows = new Map(Object.entries(record.shadows ?? {}).filter(([name]) => Object.hasOwn(fields, name)));
  const taken = new Set([...Object.keys(fields).filter((name) => !shadows.has(name)), ...context.columns]);
  for (const [name, shadow] of shadows) checkShadow(name, shadow, fields[name], taken);
  for (const [name, definition] of Object.entries(fields)) checkField(name, definition);
  for (const index of indexes) checkIndex(index, fields, taken);
  return { fields, context, indexes, shadows };
}

function fieldIndexes(fields: FieldDefinitions, datasetId: string | undefined): readonly RecordIndex[] {
  return Object.entries(fields).flatMap(([field, { indexes = {} }]) =>
    Object.entries(indexes).map(([property, { normaliser, ...index }]) =>
      definedIndex(
        property,
        { ...index, fields: [field], ...(normaliser !== undefined && { normalisers: [normaliser] }) },
        index.kind,
        datasetId,
      ),
    ),
  );
}

function recordIndexes({ indexes = {}, datasetId }: RecordDefinition): readonly RecordIndex[] {
  return Object.entries(indexes).map(([property, index]) =>
    "generations" in index
      ? {
          property,
          name: index.index ?? property,
          searched: index.searched ?? true,
          key: index.key,
          fields: index.generations[0]?.columns ?? [],
          generations: index.generations,
        }
      : definedIndex(property, index, "compound", datasetId),
  );
}

function definedIndex(property: string, index: CompoundIndexDefinition, kind: string, datasetId: string | undefined): RecordIndex {
  if (datasetId === undefined) throw invalid(`index ${property} needs a dataset: give datasetId, which its key is derived from`);
  const { fields, bits, normalisers, generation = 1, keyVersion = 1 } = index;
  const definition = { columns: fields, kind, bits, ...(normalisers !== undefined && { normalisers }) };
  return {
    property,
    name: property,
    searched: true,
    key: index.key,
    fields,
    generations: [createIndexSpec(definition, { datasetId, generation, keyVersion })],
  };
}

function checkField(name: string, { key, type }: FieldDefinition): void {
  if (name === "" || key === "") throw invalid("fields and their keys have names: give both");
  if (!Object.hasOwn(fieldTypes, type)) throw invalid(`field ${name} has no known type: use one of ${Object.keys(fieldTypes).join(", ")}`);
}

function checkShadow(
  name: string,
  { sealed, plaintext, use }: ShadowDefinition,
  field: FieldDefinition | undefined,
  taken: Set<string>,
): void {
  if (sealed === "" || sealed === plaintext || [sealed, plaintext].some((property) => taken.has(property)))
    throw invalid(`ciphertext and plaintext of field ${name} need properties of their own: choose other columns`);
  for (const property of [sealed, plaintext]) taken.add(property);
  if (use !== "none" && use !== "erased" && field?.plaintext !== "written")
    throw invalid(
      `field ${name} is stored as plaintext in ${plaintext} as well: declare it with plaintext: "written", until that is erased`,
    );
}

function checkIndex({ property, fields, generations }: RecordIndex, definitions: FieldDefinitions, taken: Set<string>): void {
  if (taken.has(property) || property === "") throw invalid(`index ${property} needs a property of its own: choose another name`);
  taken.add(property);
  if (fields.length === 0) throw invalid(`index ${property} has no live generation: build one`);
  for (const { columns } of generations) {
    if (columns.join("\0") !== fields.join("\0"))
      throw invalid(`generations of index ${property} have different columns: make them two indexes`);
  }
  for (const field of fields) {
    const definition = Object.hasOwn(definitions, field) ? definitions[field] : undefined;
    if (definition === undefined) throw invalid(`index ${property} names ${field}, which is no protected field: name one`);
    if (!fieldTypes[definition.type].indexable)
      throw invalid(`index ${property} is over ${field} of type ${definition.type}, which has no one text`);
  }
}

function invalid(message: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", message);
}
