import type { Cell } from "./source.ts";

/** Where a foreign value stands: what its additional data may be made of. */
export interface ForeignPlace {
  /** The table, as the dataset's definition spells it. */
  readonly table: string;
  /** Physical column. */
  readonly column: string;
  /** Logical column. */
  readonly name: string;
  /**
   * The row's value in one of the codec's {@link Codec.rowColumns}, in its canonical text.
   * @throws KeysteadError `INVALID_ARGUMENT` when it has none, such as NULL
   */
  readonly rowText: (column: string) => string;
}

/** A value as the application would have stored it in plaintext: text in UTF-8, or bytes. */
export type ForeignPlaintext = Extract<Cell, { readonly bytes: Uint8Array }>;

/**
 * Reads the ciphertext of another system, so that a job can move it to Keystead. It never writes any. `testCodec()` is its
 * conformance suite.
 */
export interface Codec {
  /** Physical columns of the row that places must tell, because additional data is made of them. */
  readonly rowColumns: readonly string[];
  /**
   * True for what parses in the codec's layout, strictly: each value has one way to be written. Says nothing about authenticity.
   * Never throws, whatever the cell holds; false for NULL, numbers and Keystead's own ciphertext.
   */
  recognise(cell: Cell): boolean;
  /**
   * Opens a value.
   * @throws KeysteadError `MALFORMED_CIPHERTEXT` for what {@link recognise} denies; `DECRYPTION_FAILED`, without a reason, for what does
   *   not open with any key of the codec at this place; `INVALID_ARGUMENT` from the place; `CLOSED`
   */
  open(cell: Cell, place: ForeignPlace): ForeignPlaintext;
  /** Overwrites the keys. Again: does nothing. */
  close(): void;
}

/** Values of columns of a table in a database that the local configuration names, row by row. */
export interface ForeignTable {
  readonly database: string;
  readonly table: string;
  /** Identify a row. */
  readonly keyColumns: readonly string[];
  /** What is read of each row. */
  readonly columns: readonly string[];
  /** Most rows that are read. */
  readonly limit: number;
}

/** What a codec is opened with beside its options. */
export interface CodecSurroundings {
  /** Name in the local configuration, for messages. */
  readonly name: string;
  /** Reads a table. @throws KeysteadError `UNKNOWN_DATABASE`, `DATABASE_FAILED`, `DATASET_UNSUITABLE` */
  readonly readTable: (table: ForeignTable) => Promise<readonly (readonly Cell[])[]>;
}

/** Opens a codec: reads its keys. @throws KeysteadError naming the codec and what to correct */
export type CodecOpener<Options> = (options: Options, surroundings: CodecSurroundings) => Promise<Codec>;
