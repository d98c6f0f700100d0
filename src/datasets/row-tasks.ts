import { decodeUtf8 } from "../crypto/text.ts";
import { encodeTypedValue } from "../crypto/typed-value.ts";
import { KeysteadError } from "../errors.ts";
import { cellToPlaintext, cellToValue, plaintextToValue, readCell, valueToCell } from "./cells.ts";
import type { ProtectedColumn } from "./definition.ts";
import type { ForeignPlaintext } from "./codec.ts";
import type { ForeignOpener } from "./foreign-values.ts";
import {
  type ColumnContexts,
  isStream,
  open,
  openMoved,
  type Opening,
  openUnder,
  seal,
  type SealedContent,
  type SealedForm,
  type Sealing,
} from "./sealed-content.ts";
import type { Cell } from "./source.ts";

/** What a job does to a table. */
export type JobKind = "protect" | "reencrypt" | "import" | "recontext" | "unprotect" | "index" | "verify" | "erase";

/** One protected column as a job works on it. */
export interface ColumnWork extends Opening, Sealing {
  readonly name: string;
  readonly column: string;
  /** What the column can hold. */
  readonly form: "text" | "binary";
  /** Label of the version that seals, read once a page. */
  readonly label: string;
  /** Column of the plaintext that it takes the place of. */
  readonly plaintext?: ProtectedColumn["plaintext"];
  /** Some blind index is made of it. */
  readonly indexed: boolean;
}

/** What a task makes of one value: leave it, or store another cell. `plaintext` is known when the value was opened. */
export interface ValueOutcome {
  readonly cell?: Cell;
  readonly plaintext?: Uint8Array;
}

/** A header names a key that the job has not opened yet: open it and do the row again. */
export class KeyNeeded extends Error {
  readonly keyName: string;

  constructor(keyName: string) {
    super("a key is needed");
    this.keyName = keyName;
  }
}

interface ValueTask {
  /** What is not Keystead ciphertext. @param foreign opens what another system encrypted, where that is what the column may hold */
  readonly plaintext: (cell: Cell, work: ColumnWork, contexts: ColumnContexts, foreign: ForeignOpener | undefined) => ValueOutcome;
  readonly ciphertext: (sealed: SealedContent, work: ColumnWork, contexts: ColumnContexts) => ValueOutcome;
}

const leave: ValueOutcome = {};

/** What each kind of job does with plaintext and with ciphertext. NULL stays NULL. */
const tasks: Readonly<Record<JobKind, ValueTask>> = {
  protect: {
    plaintext: (cell, work, contexts) => {
      const plaintext = cellToPlaintext(cell, work.kind, work.form);
      if (plaintext === undefined) {
        throw new KeysteadError(
          "INVALID_ARGUMENT",
          cellToValue(cell) === undefined
            ? "the value is text that is not UTF-8: repair the text first"
            : "the value is of a type that kind `value` does not keep: protect the column as kind `typed`",
        );
      }
      return { cell: seal(plaintext, work, work.form, contexts.next ?? contexts.now), plaintext };
    },
    ciphertext: (sealed, work, contexts) => ({ plaintext: open(sealed, work, contexts) }),
  },
  reencrypt: {
    plaintext: () => leave,
    ciphertext: (sealed, work, contexts) => {
      if (sealed.key === work.key.name && sealed.label === work.label) return leave;
      const plaintext = open(sealed, work, contexts);
      return { cell: seal(plaintext, work, formOf(sealed, work), contexts.next ?? contexts.now), plaintext };
    },
  },
  import: {
    plaintext: (cell, work, contexts, foreign) => {
      if (foreign === undefined) return leave;
      const plaintext = foreignBytes(foreign(cell), work);
      return { cell: seal(plaintext, work, work.form, contexts.next ?? contexts.now), plaintext };
    },
    ciphertext: (sealed, work, contexts) => {
      const { cell, plaintext } = tasks.reencrypt.ciphertext(sealed, work, contexts);
      if (cell !== undefined && plaintext !== undefined) return { cell, plaintext };
      // The tokens of a row are made of all its values.
      return work.indexed ? { plaintext: open(sealed, work, contexts) } : leave;
    },
  },
  recontext: {
    plaintext: () => leave,
    ciphertext: (sealed, work, contexts) => {
      const moved = openMoved(sealed, work, contexts);
      if (moved !== undefined) return { plaintext: moved };
      const plaintext = openUnder(sealed, work, contexts.now);
      return { cell: seal(plaintext, work, formOf(sealed, work), contexts.next ?? contexts.now), plaintext };
    },
  },
  unprotect: {
    plaintext: () => leave,
    ciphertext: (sealed, work, contexts) => {
      const plaintext = open(sealed, work, contexts);
      const value = plaintextToValue(plaintext, work.kind, isStream(sealed) ? "binary" : work.form);
      if (value === undefined)
        throw new KeysteadError("DECRYPTION_FAILED", "the plaintext is not of the column's kind; correct the dataset's definition");
      const cell = valueToCell(value);
      if (cell === undefined) throw new KeysteadError("INVALID_ARGUMENT", "the value is an integer beyond 64 bits, which no column holds");
      return { cell };
    },
  },
  index: { plaintext: () => leave, ciphertext: (sealed, work, contexts) => ({ plaintext: open(sealed, work, contexts) }) },
  verify: { plaintext: () => leave, ciphertext: (sealed, work, contexts) => ({ plaintext: open(sealed, work, contexts) }) },
  erase: { plaintext: () => leave, ciphertext: () => leave },
};

/**
 * Applies a job's task to one value.
 * @param foreign opens what another system encrypted; undefined where there is no such thing
 * @throws KeysteadError when the value can't be opened or carried: the row is reported and left alone
 */
export function applyTask(
  kind: JobKind,
  cell: Cell,
  work: ColumnWork,
  contexts: ColumnContexts,
  foreign: ForeignOpener | undefined,
): ValueOutcome {
  const content = readCell(cell);
  if (content.kind === "null") return leave;
  return content.kind === "plaintext"
    ? tasks[kind].plaintext(cell, work, contexts, foreign)
    : tasks[kind].ciphertext(content.sealed, work, contexts);
}

/** A stream stays a stream; everything else takes the form that its column can hold. */
function formOf(sealed: SealedContent, { form }: ColumnWork): SealedForm {
  return isStream(sealed) ? "stream" : form;
}

/** What another system had encrypted, as the column's kind keeps it: kind `value` keeps no type. */
function foreignBytes(plaintext: ForeignPlaintext, { kind }: ColumnWork): Uint8Array {
  if (kind === "value" || plaintext.type === "blob") return kind === "value" ? plaintext.bytes : encodeTypedValue(plaintext.bytes);
  const text = decodeUtf8(plaintext.bytes);
  if (text !== undefined) return encodeTypedValue(text);
  throw new KeysteadError("INVALID_ARGUMENT", "the value opens to text that is not UTF-8: let the codec take its plaintext for bytes");
}
