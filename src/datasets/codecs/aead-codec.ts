import { inspect } from "node:util";
import type { SecretBytes } from "../../crypto/secret-bytes.ts";
import { KeysteadError } from "../../errors.ts";
import { readCell } from "../cells.ts";
import type { Codec, ForeignPlace, ForeignPlaintext } from "../codec.ts";
import type { Cell } from "../source.ts";
import { type ForeignAlgorithm, type ForeignMessage, openForeign } from "./foreign-aead.ts";

/** What tells one AEAD codec from another. */
export interface AeadFormat {
  /** For messages. */
  readonly name: string;
  readonly algorithm: ForeignAlgorithm;
  readonly rowColumns: readonly string[];
  /** Takes a value apart, strictly; undefined for what is not of this format. Never throws. */
  readonly read: (cell: Cell) => ForeignMessage | undefined;
  readonly aad: (place: ForeignPlace) => Uint8Array;
  /** What was sealed: text in UTF-8, or bytes. */
  readonly plaintext: "text" | "bytes";
}

/** A codec of values that one AEAD cipher sealed, under one of several keys. Its own are the keys; it wipes them. */
export class AeadCodec implements Codec {
  readonly #format: AeadFormat;
  readonly #keys: readonly SecretBytes[];
  #closed = false;

  constructor(format: AeadFormat, keys: readonly SecretBytes[]) {
    this.#format = format;
    this.#keys = keys;
  }

  get rowColumns(): readonly string[] {
    return this.#format.rowColumns;
  }

  recognise(cell: Cell): boolean {
    return this.#read(cell) !== undefined;
  }

  open(cell: Cell, place: ForeignPlace): ForeignPlaintext {
    const { name, algorithm, aad, plaintext } = this.#format;
    if (this.#closed) throw new KeysteadError("CLOSED", `codec ${name} was closed; open it again`);
    const message = this.#read(cell);
    if (message === undefined) throw new KeysteadError("MALFORMED_CIPHERTEXT", `the value is not as codec ${name} reads them`);
    const bytes = openForeign(algorithm, this.#keys, message, aad(place));
    if (bytes === undefined) throw new KeysteadError("DECRYPTION_FAILED", `the value does not open with codec ${name}`);
    return { type: plaintext === "text" ? "text" : "blob", bytes };
  }

  close(): void {
    this.#closed = true;
    for (const key of this.#keys) key.wipe();
  }

  toString(): string {
    return `[codec ${this.#format.name}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }

  #read(cell: Cell): ForeignMessage | undefined {
    // Raw bytes of a foreign cipher may be anything: what parses as Keystead's own is that.
    return readCell(cell).kind === "plaintext" ? this.#format.read(cell) : undefined;
  }
}
