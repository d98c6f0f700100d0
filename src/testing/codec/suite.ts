import type { Codec, ForeignPlace, ForeignPlaintext } from "../../datasets/codec.ts";
import type { Cell } from "../../datasets/source.ts";
import type { TestFunctions } from "../store/suite.ts";

/** A value that the foreign system wrote. */
export interface CodecVector {
  readonly cell: Extract<Cell, { readonly bytes: Uint8Array }>;
  readonly place: ForeignPlace;
  readonly plaintext: ForeignPlaintext;
}

/** What `testCodec()` works on: a codec with one set of options. */
export interface CodecSuite extends TestFunctions {
  /** Names the codec, and what is special about its options. */
  readonly name: string;
  /** Opens the codec; called for each test. */
  readonly createCodec: () => Promise<Codec>;
  /** At least one; written by the foreign system or from its published vectors, not by the codec's own code. */
  readonly vectors: readonly [CodecVector, ...CodecVector[]];
  /** Places at which the first vector must not open; empty for a format that binds values to nothing. */
  readonly otherPlaces: readonly ForeignPlace[];
  /** Key bytes that nothing may show. */
  readonly secrets: readonly Uint8Array[];
}

/** A place that tells no column of the row. */
export function placeOf(table: string, column: string, row: Readonly<Record<string, string>> = {}, name = column): ForeignPlace {
  return { table, column, name, rowText: (rowColumn) => row[rowColumn] ?? "" };
}

/** Runs a test with the codec, and closes it. */
export async function withCodec({ createCodec }: CodecSuite, test: (codec: Codec) => void): Promise<void> {
  const codec = await createCodec();
  try {
    test(codec);
  } finally {
    codec.close();
  }
}
