import { KeysteadError } from "../errors.ts";
import type { CanonicalType, ContextTypes, DatasetInput, IndexGenerationInput, PlannedIndex } from "../index.ts";
import { parsePairs } from "./options.ts";

type ColumnInput = DatasetInput["columns"][string];
type IndexInput = NonNullable<DatasetInput["indexes"]>[string];

const columnFields = ["column", "kind", "plaintext"] as const;
const plannedFields = ["kind", "normaliser"] as const;
const indexFields = ["column", "key", "kind", "normaliser", "bits"] as const;

/** How columns are written on the command line. */
export const columnSyntax = "NAME=KEY[,column=PHYSICAL][,plaintext=PHYSICAL][,kind=typed|value]";

/** How indexes are written on the command line. */
export const indexSyntax = "NAME=COLUMN[+COLUMN…][,kind=K][,normaliser=N][,bits=N][,key=KEY][,column=PHYSICAL]";

/** Every type there is; written out because the engine is loaded only when it is needed. */
const contextTypeNames: Readonly<Record<CanonicalType, true>> = {
  integer: true,
  numeric: true,
  boolean: true,
  uuid: true,
  date: true,
  timestamptz: true,
  text: true,
  bytes: true,
};

/** How the types of context columns are written. */
export const contextTypeSyntax = `COLUMN=${Object.keys(contextTypeNames).join("|")}`;

/** How an index that is only planned is written. */
export const plannedIndexSyntax = "COLUMN[+COLUMN…][,kind=K][,normaliser=N]";

/**
 * Reads `email=pii-email` or `email=pii-email,column=mail_address,kind=value`.
 * @throws KeysteadError `INVALID_ARGUMENT` naming the part
 */
export function parseColumn(text: string): readonly [name: string, input: ColumnInput] {
  const { name, value, fields } = parseWords(text, "column", columnSyntax, columnFields);
  const { column, kind, plaintext } = fields;
  if (kind !== undefined && kind !== "typed" && kind !== "value") throw wrong("column", columnSyntax);
  return [
    name,
    {
      key: value,
      ...(column !== undefined && { column }),
      ...(kind !== undefined && { kind }),
      ...(plaintext !== undefined && { plaintext }),
    },
  ];
}

/**
 * Reads `email_index=email,normaliser=email,bits=13,key=pii-index`. Kind: `exact`, or `compound` over several columns, when
 * none is given; normaliser: `text`; bits: as the planner advises; the physical column has the index's name. `last4` means
 * `last(4)`, `phone-DE` means `phone(DE)`: no quoting.
 * @param defaultKey key of indexes that name none
 * @throws KeysteadError `INVALID_ARGUMENT` naming the part
 */
export function parseIndex(text: string, defaultKey: string | undefined): readonly [name: string, input: IndexInput] {
  const { name, value, fields } = parseWords(text, "index", indexSyntax, indexFields);
  const { key = defaultKey, bits, column = name } = fields;
  if (key === undefined)
    throw new KeysteadError("INVALID_ARGUMENT", `index ${name} names no key; add key=KEY, or give --index-key for all`);
  if (bits !== undefined && !/^\d{1,3}$/.test(bits)) throw wrong("index", indexSyntax);
  return [name, { ...tokenSource(value, fields), column, key, ...(bits !== undefined && { bits: Number(bits) }) }];
}

/**
 * Reads `email,normaliser=email`: an index that may not exist yet.
 * @throws KeysteadError `INVALID_ARGUMENT` naming the part
 */
export function parsePlannedIndex(text: string): PlannedIndex {
  const { value, fields } = parseWords(`index=${text}`, "planned index", plannedIndexSyntax, plannedFields);
  return tokenSource(value, fields);
}

/** Reads what is to differ in another generation of an index. Normalisers of several columns are joined by `+`. */
export function parseGeneration({
  kind,
  normaliser,
  bits,
}: {
  readonly kind?: string;
  readonly normaliser?: string;
  readonly bits?: number;
}): Omit<IndexGenerationInput, "column"> {
  return {
    ...(kind !== undefined && { kind: withArgument(kind) }),
    ...(normaliser !== undefined && { normalisers: normaliser.split("+").map(withArgument) }),
    ...(bits !== undefined && { bits }),
  };
}

/**
 * Reads `tenant=uuid`, once for each column of which the table does not tell the type.
 * @throws KeysteadError `INVALID_ARGUMENT` naming the part
 */
export function parseContextTypes(texts: readonly string[]): ContextTypes {
  return Object.fromEntries(
    Object.entries(parsePairs(texts, "context type")).map(([column, name]) => {
      if (!isCanonicalType(name)) throw wrong("context type", contextTypeSyntax);
      return [column, name];
    }),
  );
}

function isCanonicalType(name: string): name is CanonicalType {
  return Object.hasOwn(contextTypeNames, name);
}

function tokenSource(
  columnNames: string,
  fields: { readonly kind?: string; readonly normaliser?: string },
): Pick<IndexInput, "columns" | "kind" | "normalisers"> {
  const columns = columnNames.split("+");
  const { kind = columns.length > 1 ? "compound" : "exact", normaliser = "text" } = fields;
  const normalisers = normaliser.split("+").map(withArgument);
  return {
    columns,
    kind: withArgument(kind),
    normalisers: normalisers.length === 1 ? columns.flatMap(() => normalisers) : normalisers,
  };
}

function parseWords<F extends string>(
  text: string,
  what: string,
  syntax: string,
  known: readonly F[],
): { readonly name: string; readonly value: string; readonly fields: Partial<Record<F, string>> } {
  const [first = "", ...rest] = text.split(",");
  const equals = first.indexOf("=");
  const pairs = parsePairs(rest, `${what} field`);
  const unknown = Object.keys(pairs).find((field) => !known.some((name) => name === field));
  if (equals < 1 || equals === first.length - 1) throw wrong(what, syntax);
  if (unknown !== undefined)
    throw new KeysteadError("INVALID_ARGUMENT", `${what} ${first.slice(0, equals)}: unknown field ${unknown}; write ${syntax}`);
  const fields: Partial<Record<F, string>> = {};
  for (const field of known) if (Object.hasOwn(pairs, field) && pairs[field] !== undefined) fields[field] = pairs[field];
  return { name: first.slice(0, equals), value: first.slice(equals + 1), fields };
}

/** `last4` and `last-4` as `last(4)`, `phone-DE` as `phone(DE)`. */
function withArgument(text: string): string {
  return text.replace(/^([a-z]+)-?(\d+|[A-Z]{2})$/, "$1($2)");
}

function wrong(what: string, syntax: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", `a ${what} is written ${syntax}`);
}
