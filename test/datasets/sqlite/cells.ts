import fc from "fast-check";
import type { Cell } from "../../../src/datasets/source.ts";
import { sealedCell } from "../../../src/testing/dataset-source/ciphertext.ts";

export const nothing: Cell = { type: "null" };

export function text(value: string): Cell {
  return { type: "text", bytes: Buffer.from(value) };
}

/** Text that need not be UTF-8. */
export function rawText(...bytes: number[]): Cell {
  return { type: "text", bytes: Buffer.from(bytes) };
}

export function blob(...bytes: number[]): Cell {
  return { type: "blob", bytes: Buffer.from(bytes) };
}

export function integer(value: number | bigint): Cell {
  return { type: "integer", value: BigInt(value) };
}

export function real(value: number): Cell {
  return { type: "real", value };
}

/** Texts that a text column keeps as they are, and that are easily mistaken for each other. */
export const texts: readonly Cell[] = [
  nothing,
  text(""),
  text("ABC"),
  text("abc"),
  text("abc "),
  text("abc\0"),
  text("abc\0def"),
  text("1"),
  text("1.0"),
  text("01"),
  text(" 1"),
  text("\u00e9"),
  text("e\u0301"),
  text("\ufffd"),
  text("\ufeffabc"),
  text("\u{1f600}"),
  rawText(0xff),
  rawText(0xfe),
  rawText(0x61, 0xed, 0xa0, 0x80),
  rawText(0xc3),
  text("NULL"),
  text("x".repeat(5000)),
];

export const blobs: readonly Cell[] = [
  nothing,
  blob(),
  blob(0),
  blob(0x31),
  blob(0x41, 0x42, 0x43),
  blob(0x61, 0x62, 0x63),
  blob(0xff, 0xfe, 0),
  sealedCell("binary", "a value"),
  sealedCell("stream", "a value"),
];

const numbers: readonly Cell[] = [
  integer(0),
  integer(1),
  integer(-1),
  integer(2n ** 63n - 1n),
  integer(-(2n ** 63n)),
  integer(2n ** 53n + 1n),
  real(0),
  real(-0),
  real(1),
  real(-1),
  real(2 ** 53),
  real(9.5e-320),
  real(Number.POSITIVE_INFINITY),
  real(Number.NEGATIVE_INFINITY),
];

/** What a column without a type keeps as it is: everything. */
export const everything: readonly Cell[] = [...texts, ...blobs.slice(1), ...numbers];

/** A cell of any kind, mostly one that others are alike. */
export const anyCell: fc.Arbitrary<Cell> = fc.oneof(
  fc.constantFrom(...everything),
  fc.uint8Array({ maxLength: 8 }).map((bytes): Cell => ({ type: "text", bytes })),
  fc.uint8Array({ maxLength: 8 }).map((bytes): Cell => ({ type: "blob", bytes })),
  fc.string({ unit: "binary", maxLength: 8 }).map(text),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(integer),
  fc.double({ noNaN: true }).map(real),
);
