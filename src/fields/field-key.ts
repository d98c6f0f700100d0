import type { IndexSpec } from "../crypto/blind-index.ts";
import type { Context } from "../crypto/context.ts";
import type { FieldValue } from "../crypto/typed-value.ts";

/** Normalised values of a row, one per column, to its token. */
export type Indexer = (values: readonly string[]) => string;

/** What indexing needs of an opened key of usage `blind-index`. */
export interface IndexKey {
  indexer(spec: IndexSpec): Indexer;
}

/** What field encryption needs of an opened key. A `KeyHandle` is one. */
export interface FieldKey extends IndexKey {
  encryptValue(value: FieldValue, context?: Context): string;
  encryptValueBytes(value: FieldValue, context?: Context): Buffer;
  decryptValue(sealed: string | Uint8Array, context?: Context): FieldValue;
}
