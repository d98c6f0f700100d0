import type { SQLOutputValue } from "node:sqlite";
import {
  type CiphertextHeader,
  ciphertextMagic,
  isKeyName,
  maxHeaderBytes,
  minPayloadBytes,
  parseBinary,
  parseLabel,
  parseText,
} from "../../crypto/ciphertext.ts";
import { maxPayloadBytes } from "../../crypto/limits.ts";
import { maxStreamHeadBytes, parseStream } from "../../crypto/stream-header.ts";
import type { HeaderCount } from "../source.ts";
import { tooManyHeaders } from "../source-limits.ts";
import { isBase64urlFrom } from "./base64url-check.ts";
import { quoteIdentifier } from "./identifier.ts";
import { large, type ValueCounter } from "./table-scan.ts";

/** Base64url characters of the shortest payload. */
const minPayloadCharacters = Math.ceil((minPayloadBytes * 4) / 3);
/** Texts that are longer (bytes) are rare, and go through the parser itself. */
const shortText = 2 ** 15;

/**
 * SQL of what begins as ciphertext does; 0 for everything else but NULL. The operators can't mistake a storage type: in the order of
 * SQLite numbers come before texts, and texts before blobs. A blob is cut after as much as tells whether it parses.
 */
function headerExpression(column: string): string {
  const enough = maxHeaderBytes + minPayloadBytes;
  return (
    `CASE WHEN ${column} COLLATE BINARY >= 'ks1:' AND ${column} COLLATE BINARY < 'ks1;' ` +
    `THEN iif(octet_length(${column}) <= ${shortText}, ${column}, ${large}) ` +
    `WHEN ${column} >= x'6b7331623a' AND ${column} < x'6b7331623b' ` +
    `THEN iif(octet_length(${column}) <= ${maxPayloadBytes}, substr(${column}, 1, ${enough}), ${large}) ` +
    `WHEN ${column} >= x'6b7331733a' AND ${column} < x'6b7331733b' THEN substr(${column}, 1, ${maxStreamHeadBytes}) ` +
    `WHEN ${column} IS NULL THEN NULL ELSE 0 END`
  );
}

interface HeaderGroup {
  readonly key: string;
  readonly label: string;
  count: number;
}

/** How many groups several counters may still make. */
export interface GroupAllowance {
  left: number;
}

/** Counts the values of one column by their header. Agrees with the strict parser about what is ciphertext. */
export class HeaderCounter implements ValueCounter {
  readonly column: string;
  readonly expression: string;
  readonly #allowance: GroupAllowance;
  /** By `<key>:<label>`. */
  readonly #groups = new Map<string, HeaderGroup>();
  #nulls = 0;
  #plaintext = 0;
  /** The same, by what texts begin with: `ks1:<key>:<label>:`. */
  readonly #groupsByPrefix = new Map<string, HeaderGroup>();
  /** What the last text begins with: the next one mostly does, too. */
  #lastPrefix = "?";

  constructor(column: string, allowance: GroupAllowance) {
    this.column = column;
    this.expression = headerExpression(quoteIdentifier(column));
    this.#allowance = allowance;
  }

  /**
   * @throws KeysteadError `DATABASE_FAILED` when there are more headers than anybody has keys.
   */
  count(value: SQLOutputValue): void {
    if (value === null) {
      this.#nulls++;
      return;
    }
    const group =
      typeof value === "string" ? this.#groupOfText(value) : value instanceof Uint8Array ? this.#groupOfBytes(value) : undefined;
    if (group === undefined) this.#plaintext++;
    else group.count++;
  }

  /** What was counted, without empty groups. */
  get counts(): HeaderCount[] {
    const ciphertext = [...this.#groups.values()].map(({ key, label, count }) => ({
      column: this.column,
      kind: "ciphertext" as const,
      key,
      label,
      count,
    }));
    const others = [
      { column: this.column, kind: "null" as const, count: this.#nulls },
      { column: this.column, kind: "plaintext" as const, count: this.#plaintext },
    ];
    return [...others, ...ciphertext].filter(({ count }) => count > 0);
  }

  #groupOfText(text: string): HeaderGroup | undefined {
    if (text.length > shortText) {
      return this.#groupOfHeader(parseText(text));
    }
    const prefix = text.startsWith(this.#lastPrefix) ? this.#lastPrefix : headerOf(text);
    if (prefix === undefined || !hasPayload(text, prefix.length)) return undefined;
    const group = this.#groupsByPrefix.get(prefix) ?? this.#groupOfPrefix(prefix);
    if (group !== undefined) this.#lastPrefix = prefix;
    return group;
  }

  #groupOfPrefix(prefix: string): HeaderGroup | undefined {
    const [, key = "", label = ""] = prefix.split(":");
    const group = this.#group(key, label);
    if (group !== undefined) this.#groupsByPrefix.set(prefix, group);
    return group;
  }

  #groupOfBytes(bytes: Uint8Array): HeaderGroup | undefined {
    return this.#groupOfHeader(parseBinary(bytes) ?? parseStream(bytes));
  }

  #groupOfHeader(header: CiphertextHeader | undefined): HeaderGroup | undefined {
    return header === undefined ? undefined : this.#group(header.key, header.label);
  }

  /** The group of a header; `undefined` when it is none. */
  #group(key: string, label: string): HeaderGroup | undefined {
    const header = `${key}:${label}`;
    const known = this.#groups.get(header);
    if (known !== undefined) return known;
    if (!isKeyName(key) || parseLabel(label) === undefined) return undefined;
    if (this.#allowance.left === 0) throw tooManyHeaders(this.column);
    this.#allowance.left--;
    const group = { key, label, count: 0 };
    this.#groups.set(header, group);
    return group;
  }
}

/** The text up to the third colon, which comes early in ciphertext. */
function headerOf(text: string): string | undefined {
  const keyEnd = text.indexOf(":", ciphertextMagic.text.length);
  const labelEnd = keyEnd === -1 ? -1 : text.indexOf(":", keyEnd + 1);
  return labelEnd === -1 || labelEnd >= maxHeaderBytes ? undefined : text.slice(0, labelEnd + 1);
}

function hasPayload(text: string, start: number): boolean {
  return text.length - start >= minPayloadCharacters && isBase64urlFrom(text, start);
}
