import type { Context } from "../crypto/context.ts";
import type { FieldValue } from "../crypto/typed-value.ts";
import { type ErrorCode, isKeysteadError, KeysteadError } from "../errors.ts";
import { plaintextToValue, readCell } from "./cells.ts";
import type { Dataset } from "./dataset-records.ts";
import type { ProtectedColumn } from "./definition.ts";
import type { DatasetKeys } from "./job-keys.ts";
import { type ContextRenderer, rowContexts } from "./row-context.ts";
import { isStream, open } from "./sealed-content.ts";
import type { SourceRow } from "./source.ts";

/** A protected value, opened. */
export interface OpenedValue {
  /** Undefined for NULL. */
  readonly plaintext: Uint8Array | undefined;
  readonly value: FieldValue | null;
  /** Name of the key that sealed it; undefined for NULL. */
  readonly key: string | undefined;
}

/** How often one value is tried: its key may have to be opened, a version be loaded and a lease be renewed before. */
const mostTries = 5;

/** What is wrong with one value, and not with the store, the KEK or this process. */
const problemsOfValues: ReadonlySet<ErrorCode> = new Set([
  "DECRYPTION_FAILED",
  "MALFORMED_CIPHERTEXT",
  "KEY_STATE",
  "KEY_USAGE",
  "UNKNOWN_KEY",
  "UNKNOWN_FINGERPRINT",
  "INVALID_ARGUMENT",
  "ACCESS_DENIED",
]);

/** Opens protected values of a dataset's rows. */
export class RowOpener {
  readonly #dataset: Dataset;
  readonly #keys: DatasetKeys;
  readonly #contexts: ContextRenderer;

  constructor(dataset: Dataset, keys: DatasetKeys) {
    this.#dataset = dataset;
    this.#keys = keys;
    this.#contexts = rowContexts(dataset.definition);
  }

  /** The protected columns of these names, in the dataset's order. */
  columns(names: readonly string[]): ProtectedColumn[] {
    return this.#dataset.definition.columns.filter(({ name }) => names.includes(name));
  }

  /**
   * A value of a row, or why it does not open. Plaintext is none that was protected: `MALFORMED_CIPHERTEXT`.
   * @throws KeysteadError for everything that is not the value's fault, such as `KEK_FAILED` or `KEY_VERSION_NOT_LOADED`
   */
  async open(row: SourceRow, { name, column, kind }: ProtectedColumn): Promise<OpenedValue | KeysteadError> {
    const cell = row.cells[column];
    if (cell === undefined) throw new KeysteadError("INTERNAL", "a row came without one of its columns");
    const content = readCell(cell);
    if (content.kind === "null") return { plaintext: undefined, value: null, key: undefined };
    if (content.kind === "plaintext") {
      const remedy = `run \`keystead datasets protect ${this.#dataset.name}\``;
      return new KeysteadError("MALFORMED_CIPHERTEXT", `the value is plaintext; ${remedy}`);
    }
    try {
      const contexts = this.#contexts.row(row.cells);
      const plaintext = await this.#openRetrying(() => open(content.sealed, { kind, opener: this.#keys.named }, contexts(name)));
      const value = plaintextToValue(plaintext, kind, isStream(content.sealed) || cell.type === "blob" ? "binary" : "text");
      const { key } = content.sealed;
      if (value !== undefined) return { plaintext, value, key };
      // What `encrypt` made of bytes is bytes, in a text column as well.
      if (kind === "value") return { plaintext, value: plaintext, key };
      return new KeysteadError("DECRYPTION_FAILED", "the plaintext is not of the column's kind; correct the dataset's definition");
    } catch (error) {
      if (error instanceof KeysteadError && problemsOfValues.has(error.code)) return error;
      throw error;
    }
  }

  /** The contexts under which a value of a row may be sealed: none in a row of which no context can be made. */
  contexts({ cells }: SourceRow, column: string): Context[] {
    const contexts = this.#contexts.row(cells)(column);
    return [() => contexts.now, () => contexts.next].flatMap((render) => {
      try {
        const context = render();
        return context === undefined ? [] : [context];
      } catch (error) {
        if (isKeysteadError(error, "INVALID_ARGUMENT")) return [];
        throw error;
      }
    });
  }

  /** Opens with keys and versions that are loaded on demand. */
  async #openRetrying(work: () => Buffer): Promise<Buffer> {
    for (let tries = 1; ; tries += 1) {
      try {
        return work();
      } catch (error) {
        if (tries === mostTries || !(await this.#keys.provideFor(error))) throw error;
      }
    }
  }
}
