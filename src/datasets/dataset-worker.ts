import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { Engine } from "../keys/engine.ts";
import { type Dataset, findDataset } from "./dataset-records.ts";
import { type DatasetDefinition, isShadow } from "./definition.ts";
import { noToken, type RowIndex, tokenCell } from "./row-indexes.ts";
import type { ForeignValues } from "./foreign-values.ts";
import type { DatasetKeys } from "./job-keys.ts";
import type { RowProblem } from "./job-progress.ts";
import { rowProblem } from "./row-problem.ts";
import { type ContextRenderer, rowContexts } from "./row-context.ts";
import { applyTask, type ColumnWork, type JobKind } from "./row-tasks.ts";
import { applyShadowTask, isShadowKind, type ShadowCells, type ShadowOutcome } from "./shadow-tasks.ts";
import { sameCell } from "./cells.ts";
import type { Cell, RowReplacement, SourceDescription, SourceRow } from "./source.ts";

/** How often a row is tried for each of its columns: keys are opened, versions loaded and leases renewed on the way. */
const triesPerColumn = 4;

/** What was left alone in a row. */
interface RowProblems {
  readonly values: readonly RowProblem[];
  /** Index tokens that are not made, beside values with which nothing is wrong. */
  readonly tokens: readonly RowProblem[];
}

/** What a job makes of one row. */
export interface RowResult {
  readonly replacement: RowReplacement | undefined;
  /** Values that the replacement changes. */
  readonly values: number;
  readonly problems: RowProblems;
}

/** Opens, seals and indexes the rows of one dataset for one kind of job. Holds keys; knows no database. */
export class DatasetWorker {
  readonly #dataset: Dataset;
  readonly #kind: JobKind;
  readonly #engine: Engine;
  readonly #keys: DatasetKeys;
  readonly #forms: SourceDescription["forms"];
  readonly #contexts: ContextRenderer;
  readonly #indexes: readonly RowIndex[];
  readonly #foreign: ForeignValues | undefined;
  #columns: readonly ColumnWork[] = [];

  constructor(options: {
    readonly engine: Engine;
    readonly dataset: Dataset;
    readonly kind: JobKind;
    readonly forms: SourceDescription["forms"];
    readonly indexes: readonly RowIndex[];
    readonly keys: DatasetKeys;
    /** Of an `import`: what opens values that another system encrypted. */
    readonly foreign: ForeignValues | undefined;
  }) {
    this.#engine = options.engine;
    this.#dataset = options.dataset;
    this.#kind = options.kind;
    this.#forms = options.forms;
    this.#indexes = options.indexes;
    this.#keys = options.keys;
    this.#foreign = options.foreign;
    this.#contexts = rowContexts(options.dataset.definition);
  }

  /** Opens the columns' keys at their current versions; called before each page. */
  async prepare(): Promise<void> {
    const { registry } = this.#engine;
    // A machine that slept comes back with keys that were not refreshed for long.
    if (!registry.lease.holds()) await registry.refresh();
    await this.#assertSameUses();
    const columns: ColumnWork[] = [];
    const indexed = new Set(this.#dataset.definition.indexes.flatMap((index) => index.columns));
    for (const protectedColumn of this.#dataset.definition.columns) {
      const { name, column, kind, key: keyName } = protectedColumn;
      const plaintext = isShadow(protectedColumn) ? protectedColumn.plaintext : undefined;
      const key = await this.#keys.open(keyName);
      if (this.#seals) await key.prepare();
      const label = this.#seals ? key.current.label : "";
      const form = this.#forms[column] ?? "text";
      const opening = { opener: this.#keys.named, random: this.#engine.random };
      columns.push({ name, column, kind, form, key, label, plaintext, indexed: indexed.has(name), ...opening });
    }
    this.#columns = columns;
  }

  /**
   * Works on one row, opening whatever keys its values name.
   * @throws KeysteadError what is not the row's fault; `DECRYPTION_FAILED` when the codec is the wrong one
   */
  async work(row: SourceRow): Promise<RowResult> {
    const mostTries = triesPerColumn * (1 + this.#columns.length);
    for (let tries = 1; ; tries += 1) {
      try {
        const result = this.#workNow(row);
        this.#foreign?.assertOpens();
        return result;
      } catch (error) {
        // A version that no KEK here opens stays unloaded, however often it is tried.
        if (tries === mostTries) throw error;
        if (isKeysteadError(error, "KEY_BUDGET_NOT_LEASED")) await this.prepare();
        else if (!(await this.#keys.provideFor(error))) throw error;
      }
    }
  }

  /** The problems of a row that the database refused: one for each column that was to be replaced. */
  refused(row: SourceRow, { set }: RowReplacement, error: KeysteadError): RowProblems {
    const problemsOf = (parts: readonly Pick<ColumnWork, "name" | "column" | "plaintext">[]): RowProblem[] =>
      parts
        .filter(({ column, plaintext }) => Object.hasOwn(set, column) || Object.hasOwn(set, plaintext?.column ?? column))
        .map(({ name }) => this.#problem(row, name, error));
    return { values: problemsOf(this.#columns), tokens: problemsOf(this.#indexes) };
  }

  /**
   * What plaintext counts for is decided by the definition that the page was read under, and not by one that a worker slept through.
   * @throws KeysteadError `CONFLICT`
   */
  async #assertSameUses(): Promise<void> {
    const { name, definition } = this.#dataset;
    const usesOf = ({ columns }: DatasetDefinition): string => columns.map(({ plaintext }) => plaintext?.use ?? "").join();
    if (!definition.columns.some(isShadow)) return;
    const now = await this.#engine.store.read((tables) => findDataset(tables, name));
    if (usesOf(now.definition) === usesOf(definition)) return;
    throw new KeysteadError("CONFLICT", `a column of dataset ${name} was cut over or erased since this job began: run it again`);
  }

  get #seals(): boolean {
    return ["protect", "reencrypt", "import", "recontext"].includes(this.#kind);
  }

  #workNow(row: SourceRow): RowResult {
    const problems: { readonly values: RowProblem[]; readonly tokens: RowProblem[] } = { values: [], tokens: [] };
    const set: Record<string, Cell> = {};
    const expected: Record<string, Cell> = {};
    const plaintexts = new Map<string, Uint8Array | undefined>();
    const contextsOf = this.#contexts.row(row.cells);
    let values = 0;
    for (const work of this.#columns) {
      const cell = row.cells[work.column];
      if (cell === undefined) throw new KeysteadError("INTERNAL", "a row came without one of its columns");
      const shadowed = this.#shadowed(row, cell, work);
      if (cell.type === "null" && shadowed === undefined) {
        plaintexts.set(work.name, undefined);
        continue;
      }
      try {
        const outcome: ShadowOutcome =
          shadowed === undefined || !isShadowKind(this.#kind)
            ? applyTask(this.#kind, cell, work, contextsOf(work.name), this.#foreign?.opener(work, row.cells))
            : applyShadowTask(this.#kind, shadowed, work, contextsOf(work.name));
        const isNull = shadowed !== undefined && (outcome.cell ?? cell).type === "null";
        if (outcome.plaintext !== undefined || isNull) plaintexts.set(work.name, outcome.plaintext);
        if (shadowed !== undefined && work.plaintext !== undefined) {
          // Ciphertext is only right beside the plaintext that it was compared with.
          if (outcome.cell !== undefined || outcome.erases === true) expected[work.plaintext.column] = shadowed.plaintext;
          if (outcome.erases === true) set[work.plaintext.column] = noToken;
        }
        if (outcome.cell === undefined && outcome.erases !== true) continue;
        if (outcome.cell !== undefined) set[work.column] = outcome.cell;
        expected[work.column] = cell;
        values += 1;
      } catch (error) {
        problems.values.push(this.#problem(row, work.name, error));
      }
    }
    const tokens =
      this.#kind === "unprotect"
        ? problems.values.length === 0
          ? () => noToken
          : () => undefined
        : (index: RowIndex) => this.#token(index, plaintexts);
    const indexed = this.#indexRow(row, tokens, { set, expected }, problems.tokens);
    if (values + indexed === 0) return { replacement: undefined, values: 0, problems };
    for (const column of [...this.#contexts.columns, ...(this.#foreign?.rowColumns ?? [])]) {
      const cell = row.cells[column];
      if (cell !== undefined) expected[column] = cell;
    }
    return { replacement: { locator: row.locator, expected, set }, values, problems };
  }

  /** The plaintext of a column beside its ciphertext, for jobs that look at it. */
  #shadowed({ cells }: SourceRow, sealed: Cell, { plaintext }: ColumnWork): ShadowCells | undefined {
    const cell = plaintext === undefined || !isShadowKind(this.#kind) ? undefined : cells[plaintext.column];
    return plaintext === undefined || cell === undefined ? undefined : { plaintext: cell, sealed, use: plaintext.use };
  }

  /** The token of a row whose plaintext this task has seen. */
  #token(index: RowIndex, plaintexts: ReadonlyMap<string, Uint8Array | undefined>): Cell | undefined {
    const { blind, columns } = index;
    if (this.#kind === "verify") return undefined;
    if (blind === undefined) return noToken;
    return columns.every((name) => plaintexts.has(name)) ? tokenCell(blind, index, plaintexts) : undefined;
  }

  /** Puts tokens beside the values that they are made of. */
  #indexRow(
    row: SourceRow,
    tokens: (index: RowIndex) => Cell | undefined,
    { set, expected }: { readonly set: Record<string, Cell>; readonly expected: Record<string, Cell> },
    problems: RowProblem[],
  ): number {
    let changed = 0;
    for (const index of this.#indexes) {
      let token: Cell | undefined;
      try {
        token = tokens(index);
      } catch (error) {
        problems.push(this.#problem(row, index.name, error));
      }
      const present = row.cells[index.column];
      if (token === undefined || present === undefined || sameCell(token, present)) continue;
      set[index.column] = token;
      expected[index.column] = present;
      // A token is only right beside the values that it was made of.
      for (const work of this.#columns) {
        const cell = row.cells[work.column];
        if (index.columns.includes(work.name) && cell !== undefined) expected[work.column] = cell;
      }
      changed += 1;
    }
    return changed;
  }

  #problem(row: SourceRow, column: string, error: unknown): RowProblem {
    const retry = [
      "KEY_VERSION_NOT_LOADED",
      "KEY_LEASE_EXPIRED",
      "KEY_BUDGET_NOT_LEASED",
      "KEY_BUDGET_EXHAUSTED",
      "KEY_VERSION_EXPIRED",
      "INTERNAL",
    ];
    if (!(error instanceof KeysteadError) || retry.includes(error.code)) throw error;
    return rowProblem(this.#dataset.definition, row, column, error);
  }
}
