import { z } from "zod";
import { maxIndexBits, minIndexBits } from "../crypto/blind-index.ts";
import { isKeyName } from "../crypto/ciphertext.ts";
import { KeysteadError } from "../errors.ts";
import { checkFields } from "../field-problem.ts";
import { nearestName } from "../nearest-name.ts";
import { canonicalTypes } from "../fields/canonical-text.ts";
import { checkContextTypes, type ContextTypes } from "./context-types.ts";
import { compileContext } from "./row-context.ts";

const wellFormed = z
  .string()
  .min(1)
  .max(255)
  .refine((text) => text.isWellFormed() && !text.includes("\0"), "holds a lone surrogate or NUL");
const logicalName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_.-]{0,127}$/, "is 1 to 128 letters, digits, '_', '.', '-', beginning with a letter");
const keyName = z.string().refine(isKeyName, "is not a key name");

const columnSchema = z.strictObject({
  /** Physical column; the logical name when absent. */
  column: wellFormed.optional(),
  /** Key that protects it. */
  key: keyName,
  /** `typed` keeps the value's type; `value` is what `keystead.encrypt()` makes, for text and bytes only. */
  kind: z.enum(["typed", "value"]).default("typed"),
  /** Physical column with the plaintext, which this one takes the place of. Absent: the column itself has the plaintext, or there is none. */
  plaintext: wellFormed.optional(),
});

/** A blind index, as a caller describes it. */
export const indexInput = z.strictObject({
  /** Logical columns; several make a compound index. */
  columns: z.array(logicalName).min(1).max(8),
  /** Physical column that holds the tokens. */
  column: wellFormed,
  /** Key of usage `blind-index`. */
  key: keyName,
  /** `exact`, `last(4)`, `soundex`, `metaphone`, `compound`. */
  kind: z.string().min(1).max(32),
  /** One per column, for example `text`, `email`, `phone(DE)`. */
  normalisers: z.array(z.string().min(1).max(64)).min(1).max(8),
  /** Bits of a token that are kept; when absent the planner looks at the column and takes what it recommends. */
  bits: z.int().min(minIndexBits).max(maxIndexBits).optional(),
});

/** Another generation of a blind index, as a caller describes it. */
export const generationInput = indexInput.omit({ columns: true, key: true }).partial({ kind: true, normalisers: true });

const templateSchema = z.record(z.string().min(1).max(255), z.string().max(1024));
const contextTypesSchema = z.record(wellFormed, z.enum(canonicalTypes));

/** Where stored ciphertext lives, as a caller describes it. */
export const datasetInput = z.strictObject({
  /** Name of the database in the local configuration. */
  database: logicalName,
  table: wellFormed,
  /** Identify a row: together unique and never null. */
  keyColumns: z.array(wellFormed).min(1).max(16),
  columns: z.record(logicalName, columnSchema).refine((columns) => Object.keys(columns).length > 0, "needs at least one column"),
  /**
   * Context pairs as templates: text with at most one `{<physical column>}`; the pair `column` (logical name) is added by
   * itself. When absent: the dataset's name and every key column.
   */
  context: templateSchema.optional(),
  /**
   * Types of columns that the context names, by physical column; those that are absent are taken from the table. They are fixed with
   * the definition: values must be written the same way for as long as there is ciphertext.
   */
  contextTypes: contextTypesSchema.default({}),
  indexes: z.record(logicalName, indexInput).default({}),
});

/** Where stored ciphertext lives, as a caller describes it. */
export type DatasetInput = z.input<typeof datasetInput>;

/** A blind index, as a caller describes it. */
export type DatasetIndexInput = z.input<typeof indexInput>;

/** Another generation of a blind index, as a caller describes it: its column, and what is to differ from the one that is searched. */
export type IndexGenerationInput = z.input<typeof generationInput>;

const strings = z.array(z.string()).readonly();
const template = z.record(z.string(), z.string()).readonly();
/** Registering leaves no column without a type; definitions from before there were types have none. */
const storedTypes = z.record(z.string(), z.enum(canonicalTypes)).readonly().default({});

/** A column of plaintext beside its ciphertext. */
const storedPlaintextSchema = z.strictObject({
  column: z.string(),
  /**
   * `read`: it is what counts, and both are written. `written`: the ciphertext counts, and both are written. `none`: the plaintext is to go,
   * and NULL is written. `erased`: it is gone, and the column is not the dataset's any more.
   */
  use: z.enum(["read", "written", "none", "erased"]),
});
const storedColumnSchema = z.strictObject({
  name: z.string(),
  column: z.string(),
  key: z.string(),
  kind: z.enum(["typed", "value"]),
  plaintext: storedPlaintextSchema.readonly().optional(),
});
/** Says what searches ask for: the generation that holds it is the one in `column`. */
const storedIndexSchema = z.strictObject({
  name: z.string(),
  columns: strings,
  column: z.string(),
  /** Column of the other generation, while one takes the place of another. */
  otherColumn: z.string().nullable().default(null),
  key: z.string(),
  kind: z.string(),
  normalisers: strings,
  bits: z.int(),
});
const storedDefinitionSchema = z.strictObject({
  database: z.string(),
  table: z.string(),
  keyColumns: strings,
  columns: z.array(storedColumnSchema.readonly()).readonly(),
  context: template,
  contextTypes: storedTypes,
  /** The template that a running `recontext` moves to. */
  nextContext: template.nullable(),
  nextContextTypes: storedTypes,
  /** Templates that a `recontext` left values under which did not open, oldest first. Nothing is opened under them. */
  formerContexts: z
    .array(z.strictObject({ context: template, contextTypes: storedTypes }).readonly())
    .readonly()
    .default([]),
  indexes: z.array(storedIndexSchema.readonly()).readonly(),
});

/** One protected column. */
export type ProtectedColumn = Readonly<z.infer<typeof storedColumnSchema>>;

/** A protected column with its plaintext beside it. */
export type ShadowColumn = ProtectedColumn & { readonly plaintext: NonNullable<ProtectedColumn["plaintext"]> };

/** One blind index of a dataset. */
export type DatasetIndex = Readonly<z.infer<typeof storedIndexSchema>>;

/** A dataset's definition as it is stored: nothing is left to defaults. */
export type DatasetDefinition = Readonly<z.infer<typeof storedDefinitionSchema>>;

/** Reads a stored definition. @throws ZodError for text that {@link parseDatasetInput} did not make */
export function readDefinition(json: string): DatasetDefinition {
  return storedDefinitionSchema.parse(JSON.parse(json));
}

/** A checked definition. */
export interface ParsedDatasetInput {
  /** Its types are those that the caller gave: the table has not been looked at. */
  readonly definition: DatasetDefinition;
  /** Indexes whose number of bits is still to be planned. */
  readonly unplanned: readonly string[];
}

/** Names a dataset may have: 1–128 characters, beginning with a letter. */
function isDatasetName(name: string): boolean {
  return logicalName.safeParse(name).success;
}

/**
 * Checks a definition and fills in what is absent.
 * @throws KeysteadError `INVALID_ARGUMENT` naming the part
 */
export function parseDatasetInput(name: string, input: unknown): ParsedDatasetInput {
  refuseHiddenNames(input);
  const parsed = checkFields("definition", datasetInput, input);
  if (!isDatasetName(name)) throw invalid("its name is 1 to 128 letters, digits, '_', '.', '-', beginning with a letter");
  if (parsed.problem !== undefined) throw invalid(parsed.problem);
  const { database, table, keyColumns, columns, context, contextTypes, indexes } = parsed.data;
  const definition: DatasetDefinition = {
    database,
    table,
    keyColumns,
    columns: Object.entries(columns).map(([logical, { column = logical, key, kind, plaintext }]) => ({
      name: logical,
      column,
      key,
      kind,
      ...(plaintext !== undefined && { plaintext: { column: plaintext, use: "read" } }),
    })),
    context: context ?? defaultContext(name, keyColumns),
    contextTypes,
    nextContext: null,
    nextContextTypes: {},
    formerContexts: [],
    indexes: Object.entries(indexes).map(([indexName, index]) => ({
      name: indexName,
      otherColumn: null,
      ...index,
      bits: index.bits ?? minIndexBits,
    })),
  };
  compileContext(definition.context);
  checkContextTypes(definition.context, contextTypes);
  assertConsistent(definition);
  const unplanned = Object.entries(indexes).flatMap(([indexName, index]) => (index.bits === undefined ? [indexName] : []));
  return { definition, unplanned };
}

/** Checks one index. @throws KeysteadError `INVALID_ARGUMENT` naming the part */
export function parseIndexInput(name: string, input: unknown): z.output<typeof indexInput> {
  if (!logicalName.safeParse(name).success)
    throw invalid("an index's name is 1 to 128 letters, digits, '_', '.', '-', beginning with a letter");
  return parsePart(`index ${name}`, indexInput, input);
}

/** Checks another generation of an index. @throws KeysteadError `INVALID_ARGUMENT` naming the part */
export function parseGenerationInput(name: string, input: unknown): z.output<typeof generationInput> {
  return parsePart(`generation of index ${name}`, generationInput, input);
}

/**
 * The definition with a column for another generation of an index, checked; and the index as that generation will hold it.
 * Its bits are those of the one that is searched, or still to be planned when it holds something else.
 * @throws KeysteadError `INVALID_ARGUMENT` naming the part
 */
export function withGeneration(
  definition: DatasetDefinition,
  searched: DatasetIndex,
  input: unknown,
): { readonly definition: DatasetDefinition; readonly next: DatasetIndex; readonly isPlanned: boolean } {
  const { column, kind = searched.kind, normalisers = searched.normalisers, bits } = parseGenerationInput(searched.name, input);
  const next = { ...searched, column, kind, normalisers, bits: bits ?? searched.bits };
  const indexes = definition.indexes.map((index) => (index === searched ? { ...index, otherColumn: column } : index));
  const extended = { ...definition, indexes };
  assertConsistent(extended);
  assertConsistent({ ...definition, indexes: [next] });
  const isSame = kind === searched.kind && normalisers.join() === searched.normalisers.join();
  return { definition: extended, next, isPlanned: bits !== undefined || isSame };
}

/**
 * The definition with one more index, checked.
 * @throws KeysteadError `INVALID_ARGUMENT` naming the part, `NAME_TAKEN`
 */
export function withIndex(definition: DatasetDefinition, name: string, input: unknown): ParsedDatasetInput {
  const { bits, ...parsed } = parseIndexInput(name, input);
  if (definition.indexes.some((index) => index.name === name))
    throw new KeysteadError("NAME_TAKEN", `the dataset has an index ${name} already; choose another name`);
  const index = { name, otherColumn: null, ...parsed, bits: bits ?? minIndexBits };
  const extended = { ...definition, indexes: [...definition.indexes, index] };
  assertConsistent(extended);
  return { definition: extended, unplanned: bits === undefined ? [name] : [] };
}

/** Another context for the values of a dataset, as a caller gives it. */
export interface ContextMove {
  readonly context: Readonly<Record<string, string>>;
  /** Types that the caller gave. */
  readonly contextTypes: ContextTypes;
}

/** Checks another context. @throws KeysteadError `INVALID_ARGUMENT` naming the pair or the column */
export function parseContextMove(context: unknown, contextTypes: unknown): ContextMove {
  const template = parsePart("context", templateSchema, context);
  const types = parsePart("contextTypes", contextTypesSchema, contextTypes);
  compileContext(template);
  checkContextTypes(template, types);
  return { context: template, contextTypes: types };
}

function parsePart<T>(what: string, schema: z.ZodType<T>, input: unknown): T {
  refuseHiddenNames(input);
  const parsed = checkFields(what, schema, input);
  if (parsed.problem !== undefined) throw invalid(parsed.problem);
  return parsed.data;
}

/** Dataset and row, with the column that is always added: a ciphertext moved to another place does not open. */
function defaultContext(dataset: string, keyColumns: readonly string[]): Record<string, string> {
  const rows = keyColumns.map((column) => [`row.${column}`, `{${column}}`] as const);
  return { dataset, ...Object.fromEntries(rows) };
}

/**
 * Refuses columns that the dataset does not protect.
 * @param what what names them, for the message
 * @throws KeysteadError `INVALID_ARGUMENT`
 */
export function assertProtected(columns: readonly ProtectedColumn[], names: readonly string[], what: string): void {
  const known = columns.map((column) => column.name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const near = nearestName([unknown], known);
  const question = near === undefined ? `; protected are ${known.join(", ")}` : `; did you mean ${near}?`;
  throw invalid(`${what} names column ${JSON.stringify(unknown)}, which is not protected${question}`);
}

/** The physical columns that hold tokens of an index: that of the generation that is searched first. */
export function indexColumns({ column, otherColumn }: DatasetIndex): string[] {
  return otherColumn === null ? [column] : [column, otherColumn];
}

/** The physical columns of a protected one: that of the ciphertext first. */
function columnsOf(column: ProtectedColumn): string[] {
  return isShadow(column) ? [column.column, column.plaintext.column] : [column.column];
}

/** Whether a protected column has its plaintext beside it. */
export function isShadow(column: ProtectedColumn): column is ShadowColumn {
  return column.plaintext !== undefined && column.plaintext.use !== "erased";
}

function assertConsistent(definition: DatasetDefinition): void {
  const { keyColumns, columns, indexes } = definition;
  const physical = [...keyColumns, ...columns.flatMap(columnsOf), ...indexes.flatMap(indexColumns)];
  const folded = physical.map((column) => column.toLowerCase());
  const twice = physical.find((_, position) => folded.indexOf(folded[position] ?? "") !== position);
  if (twice !== undefined) throw invalid(`column ${twice} is named twice; every key, protected, plaintext and index column needs its own`);
  for (const index of indexes) {
    assertProtected(columns, index.columns, `index ${index.name}`);
    if (index.normalisers.length !== index.columns.length) throw invalid(`index ${index.name} needs one normaliser for each column`);
  }
}

/** Objects don't list a property of this name, so schemas would leave it out without a word. Looks as deep as definitions are. */
function refuseHiddenNames(input: unknown, depth = 3): void {
  if (typeof input !== "object" || input === null) return;
  if (Object.hasOwn(input, "__proto__")) throw invalid("nothing in it may be called __proto__: use another name");
  if (depth > 0) for (const part of Object.values(input)) refuseHiddenNames(part, depth - 1);
}

function invalid(what: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", `dataset definition: ${what}`);
}
