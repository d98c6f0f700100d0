import type { ParsedCiphertext } from "../crypto/ciphertext.ts";
import type { Context } from "../crypto/context.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { KeyHandle } from "../keys/key-handle.ts";
import { cellToPlaintext, cellToValue, plaintextToValue, readCell, sealedCell, valueToCell } from "./cells.ts";
import type { Cell } from "./source.ts";

/** What a job does to a table. */
export type JobKind = "protect" | "reencrypt" | "recontext" | "unprotect" | "index" | "verify";

/** One protected column as a job works on it. */
export interface ColumnWork {
  readonly name: string;
  readonly column: string;
  readonly kind: "typed" | "value";
  readonly form: "text" | "binary";
  /** Key that seals. */
  readonly key: KeyHandle;
  /** Label of the version that seals, read once a page. */
  readonly label: string;
  /** Handle of the key that a header names; throws {@link KeyNeeded} when it isn't opened yet. */
  readonly opener: (keyName: string) => KeyHandle;
}

/** The contexts of one column in one row. */
export interface ColumnContexts {
  readonly now: Context;
  /** During `recontext`: what the column moves to. */
  readonly next: Context | undefined;
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
  readonly plaintext: (cell: Cell, work: ColumnWork, contexts: ColumnContexts) => ValueOutcome;
  readonly ciphertext: (parsed: ParsedCiphertext, work: ColumnWork, contexts: ColumnContexts) => ValueOutcome;
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
      return { cell: seal(plaintext, work, contexts.next ?? contexts.now), plaintext };
    },
    ciphertext: (parsed, work, contexts) => ({ plaintext: open(parsed, work, contexts) }),
  },
  reencrypt: {
    plaintext: () => leave,
    ciphertext: (parsed, work, contexts) => {
      if (parsed.key === work.key.name && parsed.label === work.label) return leave;
      const plaintext = open(parsed, work, contexts);
      return { cell: seal(plaintext, work, contexts.next ?? contexts.now), plaintext };
    },
  },
  recontext: {
    plaintext: () => leave,
    ciphertext: (parsed, work, { now, next }) => {
      const opener = work.opener(parsed.key);
      const moved = next === undefined ? undefined : openOrUndefined(opener, parsed, work, next);
      if (moved !== undefined) return { plaintext: moved };
      const plaintext = opener.openBytes(work.kind, parsed, now);
      return { cell: seal(plaintext, work, next ?? now), plaintext };
    },
  },
  unprotect: {
    plaintext: () => leave,
    ciphertext: (parsed, work, contexts) => {
      const plaintext = open(parsed, work, contexts);
      const value = plaintextToValue(plaintext, work.kind, work.form);
      if (value === undefined)
        throw new KeysteadError("DECRYPTION_FAILED", "the plaintext is not of the column's kind; correct the dataset's definition");
      const cell = valueToCell(value);
      if (cell === undefined) throw new KeysteadError("INVALID_ARGUMENT", "the value is an integer beyond 64 bits, which no column holds");
      return { cell };
    },
  },
  index: { plaintext: () => leave, ciphertext: (parsed, work, contexts) => ({ plaintext: open(parsed, work, contexts) }) },
  verify: { plaintext: () => leave, ciphertext: (parsed, work, contexts) => ({ plaintext: open(parsed, work, contexts) }) },
};

/**
 * Applies a job's task to one value.
 * @throws KeysteadError when the value can't be opened or carried: the row is reported and left alone
 */
export function applyTask(kind: JobKind, cell: Cell, work: ColumnWork, contexts: ColumnContexts): ValueOutcome {
  const content = readCell(cell);
  if (content.kind === "null") return leave;
  return content.kind === "plaintext"
    ? tasks[kind].plaintext(cell, work, contexts)
    : tasks[kind].ciphertext(content.parsed, work, contexts);
}

/** Opens a value of a dataset; while a `recontext` runs, under either context. */
export function open(parsed: ParsedCiphertext, work: Pick<ColumnWork, "opener" | "kind">, { now, next }: ColumnContexts): Buffer {
  const opener = work.opener(parsed.key);
  const moved = next === undefined ? undefined : openOrUndefined(opener, parsed, work, next);
  return moved ?? opener.openBytes(work.kind, parsed, now);
}

function openOrUndefined(
  opener: KeyHandle,
  parsed: ParsedCiphertext,
  work: Pick<ColumnWork, "kind">,
  context: Context,
): Buffer | undefined {
  try {
    return opener.openBytes(work.kind, parsed, context);
  } catch (error) {
    if (isKeysteadError(error, "DECRYPTION_FAILED")) return undefined;
    throw error;
  }
}

/** Seals, opens again and compares: what is stored is known to open. */
function seal(plaintext: Uint8Array, work: ColumnWork, context: Context): Cell {
  const cell = sealedCell(work.key.sealBytes(work.kind, work.form, plaintext, context));
  const content = readCell(cell);
  const opened = content.kind === "ciphertext" ? work.key.openBytes(work.kind, content.parsed, context) : undefined;
  if (opened === undefined || Buffer.compare(opened, plaintext) !== 0) {
    throw new KeysteadError("INTERNAL", "a value did not open to itself after sealing; nothing was stored, report this");
  }
  return cell;
}
