import { isKeysteadError, KeysteadError } from "../errors.ts";
import { canonicalText } from "../fields/canonical-text.ts";
import { cellValue } from "../fields/stored-cell.ts";
import type { Codec, ForeignPlaintext } from "./codec.ts";
import type { Dataset } from "./dataset-records.ts";
import { assertProtected, type ProtectedColumn } from "./definition.ts";
import type { ReencryptOptions } from "./job-options.ts";
import type { Cell, SourceDescription, SourceLayout } from "./source.ts";

/** When so many values did not open and none did, the codec is the wrong one. */
const mostInVain = 500;

/** Opens a foreign value of one column in one row. @throws KeysteadError as `Codec.open()` */
export type ForeignOpener = (cell: Cell) => ForeignPlaintext;

/** The foreign values of a dataset, as a job takes them in. Counts what opens, so that a wrong codec is noticed before anything is written. */
export class ForeignValues {
  readonly #codec: Codec;
  readonly #options: ReencryptOptions;
  readonly #dataset: Dataset;
  readonly #types: SourceDescription["types"];
  readonly #counts = { opened: 0, malformed: 0, unopened: 0 };

  /** @throws KeysteadError `INVALID_ARGUMENT` for columns that the dataset does not protect */
  constructor(codec: Codec, options: ReencryptOptions, dataset: Dataset, types: SourceDescription["types"]) {
    assertProtected(dataset.definition.columns, options.columns ?? [], "columns");
    this.#codec = codec;
    this.#options = options;
    this.#dataset = dataset;
    this.#types = types;
  }

  /** Physical columns of which additional data is made. */
  get rowColumns(): readonly string[] {
    return this.#codec.rowColumns;
  }

  /** What opens the foreign values of a column in a row; undefined for a column that does not come from the codec. */
  opener({ name, column }: Pick<ProtectedColumn, "name" | "column">, cells: Readonly<Record<string, Cell>>): ForeignOpener | undefined {
    const { columns } = this.#options;
    if (columns?.includes(name) === false) return undefined;
    const { table } = this.#dataset.definition;
    const rowText = (rowColumn: string): string => this.#rowText(rowColumn, cells[rowColumn]);
    return (cell) => this.#open(cell, () => this.#codec.open(cell, { table, column, name, rowText }));
  }

  /** @throws KeysteadError `DECRYPTION_FAILED` once so many values were tried in vain that the codec must be the wrong one */
  assertOpens(): void {
    const { opened, malformed, unopened } = this.#counts;
    const { from = "", leaveUnopened } = this.#options;
    if (opened > 0 || malformed + unopened < mostInVain || leaveUnopened === true) return;
    throw new KeysteadError(
      "DECRYPTION_FAILED",
      `codec ${from} opens none of the first ${String(malformed + unopened)} values of dataset ${this.#dataset.name} (${String(malformed)} are not ` +
        `written as it reads them, ${String(unopened)} do not open): correct its layout, keys or additional data; if these values are lost, ` +
        "run the job with leaveUnopened (--leave-unopened)",
    );
  }

  #open(cell: Cell, open: () => ForeignPlaintext): ForeignPlaintext {
    const { from = "" } = this.#options;
    if (!this.#codec.recognise(cell)) {
      this.#counts.malformed += 1;
      throw new KeysteadError(
        "MALFORMED_CIPHERTEXT",
        `the value is neither Keystead's nor written as codec ${from} reads them; repair or remove it`,
      );
    }
    try {
      const plaintext = open();
      this.#counts.opened += 1;
      return plaintext;
    } catch (error) {
      if (!isKeysteadError(error, "DECRYPTION_FAILED")) throw error;
      this.#counts.unopened += 1;
      throw error;
    }
  }

  #rowText(column: string, cell: Cell | undefined): string {
    const what = `column ${column}`;
    const type = this.#dataset.definition.contextTypes[column] ?? this.#types[column]?.canonical;
    return canonicalText(cell === undefined ? null : cellValue(cell, what), what, type);
  }
}

/** A dataset's layout with the columns that a codec needs. */
export function withRowColumns(layout: SourceLayout, rowColumns: readonly string[]): SourceLayout {
  const more = rowColumns.filter((column) => !layout.keyColumns.includes(column) && !layout.contextColumns.includes(column));
  return { ...layout, contextColumns: [...layout.contextColumns, ...more] };
}
