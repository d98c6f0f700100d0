import { decodeUtf8 } from "../../crypto/text.ts";
import type { CanonicalType } from "../../fields/canonical-text.ts";
import { quoteIdentifier } from "../../postgres/identifier.ts";
import type { Cell } from "../source.ts";
import type { ColumnFacts } from "./table-facts.ts";

/** How the values of a column are read, compared and written. Expressions are SQL of the column. */
export interface ColumnKind {
  /** SQL of a text of the value, from which {@link read} makes the cell. */
  readonly output: (expression: string) => string;
  readonly read: (output: string) => Cell;
  /** SQL of what is the same for identical values only, whatever the column's collation and notion of equality. */
  readonly identity: (expression: string) => string;
  readonly identityType: "text" | "bytea";
  /** The identity of a cell that is not null; undefined for one that the column can't hold. */
  readonly identityOf: (cell: Cell) => string | Buffer | undefined;
  /** SQL of the identity that a cell has once it is written, where the database writes it in another way. */
  readonly written?: (identity: string) => string;
  /** Kind of ciphertext that the column takes. */
  readonly form: "text" | "binary" | undefined;
}

const asText = (expression: string): string => `(${expression})::pg_catalog.text`;
const exactText = (expression: string): string => `${asText(expression)} collate "C"`;

const text: ColumnKind = {
  output: asText,
  read: (output) => ({ type: "text", bytes: Buffer.from(output, "utf8") }),
  identity: exactText,
  identityType: "text",
  identityOf: textOf,
  form: "text",
};

const bytes: ColumnKind = {
  output: (expression) => `pg_catalog.encode(${expression}, 'base64')`,
  read: (output) => ({ type: "blob", bytes: Buffer.from(output, "base64") }),
  identity: (expression) => expression,
  identityType: "bytea",
  identityOf: (cell) => (cell.type === "blob" ? viewOf(cell.bytes) : undefined),
  form: "binary",
};

/** `char(n)`: a cast to text would leave out the spaces that it pads with. */
const padded: ColumnKind = {
  output: (expression) => expression,
  read: text.read,
  identity: (expression) => `pg_catalog.bpcharsend(${expression})`,
  identityType: "bytea",
  identityOf: (cell) => (textOf(cell) === undefined || cell.type !== "text" ? undefined : viewOf(cell.bytes)),
  form: undefined,
};

const integer: ColumnKind = {
  output: asText,
  read: (output) => ({ type: "integer", value: BigInt(output) }),
  identity: exactText,
  identityType: "text",
  identityOf: (cell) => (cell.type === "integer" ? cell.value.toString() : undefined),
  form: undefined,
};

const truth: ColumnKind = {
  ...integer,
  read: (output) => ({ type: "integer", value: output === "true" ? 1n : 0n }),
  identityOf: (cell) => (cell.type === "integer" ? { 0: "false", 1: "true" }[cell.value.toString()] : undefined),
};

function real(send: string, write: (value: number) => Buffer): ColumnKind {
  return {
    output: asText,
    read: (output) => ({ type: "real", value: Number(output) }),
    identity: (expression) => `pg_catalog.${send}(${expression})`,
    identityType: "bytea",
    identityOf: (cell) => (cell.type === "real" ? write(cell.value) : undefined),
    form: undefined,
  };
}

/** Everything else is the text that PostgreSQL writes for it, under the settings of the transaction. */
const written: ColumnKind = { ...text, form: undefined };

/**
 * JSON at a path. Strings are text; anything else but null is bytes, those of its JSON, which no column holds otherwise, or an integer.
 * A string has a double quote before its text, and no other JSON begins with one.
 */
const json: ColumnKind = {
  output: jsonIdentity,
  read: readJson,
  identity: (expression) => `(${jsonIdentity(expression)}) collate "C"`,
  identityType: "text",
  identityOf: jsonOf,
  written: (identity) =>
    `case when starts_with(${identity}, '"') then ${identity} else (${identity}::pg_catalog.jsonb)::pg_catalog.text end`,
  form: "text",
};

const kinds: ReadonlyMap<string, ColumnKind> = new Map([
  ["text", text],
  ["varchar", text],
  ["bpchar", padded],
  ["bytea", bytes],
  ["int2", integer],
  ["int4", integer],
  ["int8", integer],
  ["bool", truth],
  [
    "float4",
    real("float4send", (value) => {
      const buffer = Buffer.alloc(4);
      buffer.writeFloatBE(value);
      return buffer;
    }),
  ],
  [
    "float8",
    real("float8send", (value) => {
      const buffer = Buffer.alloc(8);
      buffer.writeDoubleBE(value);
      return buffer;
    }),
  ],
]);

const canonical: ReadonlyMap<string, CanonicalType> = new Map<string, CanonicalType>([
  ["int2", "integer"],
  ["int4", "integer"],
  ["int8", "integer"],
  ["numeric", "numeric"],
  ["bool", "boolean"],
  ["uuid", "uuid"],
  ["date", "date"],
  ["timestamptz", "timestamptz"],
  ["text", "text"],
  ["varchar", "text"],
  ["bpchar", "text"],
  ["name", "text"],
  ["bytea", "bytes"],
]);

/** How a column's values are read, compared and written. */
export function kindOf({ baseType, document }: ColumnFacts): ColumnKind {
  if (document !== undefined) return json;
  if (isCitext(baseType.name)) return text;
  return (baseType.schema === "pg_catalog" ? kinds.get(baseType.name) : undefined) ?? written;
}

/** The type by which contexts write a column's values; undefined where PostgreSQL's type does not tell, and for floating point. */
export function canonicalTypeOf({ baseType, isEnum }: ColumnFacts): CanonicalType | undefined {
  if (isEnum || isCitext(baseType.name)) return "text";
  return baseType.schema === "pg_catalog" ? canonical.get(baseType.name) : undefined;
}

/** SQL of a parameter or text as a value of the column's type, without a length. */
export function castTo({ baseType }: ColumnFacts, expression: string): string {
  return `(${expression})::${quoteIdentifier(baseType.schema)}.${quoteIdentifier(baseType.name)}`;
}

/** Type of the parameter that {@link castTo} takes. */
export function transportType(column: ColumnFacts): "text" | "bytea" {
  return kindOf(column) === bytes ? "bytea" : "text";
}

/** The parameter that {@link castTo} takes for a cell that is not null; undefined for one that the column can't hold. */
export function transportOf(column: ColumnFacts, cell: Cell): string | Buffer | undefined {
  const kind = kindOf(column);
  if (kind === padded) return textOf(cell);
  if (cell.type === "real") return kind.identityOf(cell) === undefined ? undefined : realText(cell.value);
  return kind.identityOf(cell);
}

/** Belongs to an extension, in whatever schema. */
function isCitext(name: string): boolean {
  return name === "citext";
}

/** PostgreSQL's text has neither NUL nor anything that is not UTF-8. */
function textOf(cell: Cell): string | undefined {
  const value = cell.type === "text" ? decodeUtf8(cell.bytes) : undefined;
  return value?.includes("\0") === true ? undefined : value;
}

function jsonIdentity(expression: string): string {
  return `case when left(${asText(expression)}, 1) = '"' then '"' || (${expression} #>> '{}') else nullif(${asText(expression)}, 'null') end`;
}

function readJson(output: string): Cell {
  if (output.startsWith('"')) return { type: "text", bytes: Buffer.from(output.slice(1)) };
  if (/^(?:0|-?[1-9]\d{0,18})$/.test(output) && BigInt.asIntN(64, BigInt(output)) === BigInt(output)) {
    return { type: "integer", value: BigInt(output) };
  }
  return { type: "blob", bytes: Buffer.from(output) };
}

/** Of a floating point number only where JavaScript writes it as PostgreSQL does. */
function jsonOf(cell: Cell): string | undefined {
  const value = textOf(cell);
  if (value !== undefined) return `"${value}`;
  if (cell.type === "integer") return cell.value.toString();
  if (cell.type === "real") return /^-?\d+(?:\.\d+)?$/.test(realText(cell.value)) && cell.value !== 0 ? realText(cell.value) : undefined;
  const written = cell.type === "blob" ? decodeUtf8(cell.bytes) : undefined;
  return written !== undefined && isOtherJson(written) ? written : undefined;
}

/** JSON that is neither a string nor null nor an integer. */
function isOtherJson(written: string): boolean {
  try {
    const value: unknown = JSON.parse(written);
    return typeof value !== "string" && value !== null && readJson(written).type === "blob";
  } catch {
    return false;
  }
}

function realText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function viewOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
