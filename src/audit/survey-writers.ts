import type { AuditLineRow, AuditStore } from "./audit-store.ts";
import { journalPath } from "./journal-file.ts";
import { JournalReader, openJournal } from "./journal-reader.ts";
import { allLines, linesOf } from "./pages.ts";
import type { ChainPosition } from "./hash-chain.ts";
import type { Attestation } from "./verify-checkpoints.ts";
import { verifyWriter } from "./verify-writer.ts";

/** What is looked at. */
export interface SurveyOptions {
  readonly store: AuditStore;
  readonly storeId: string;
  readonly directory: string | undefined;
  /** How long the journals of the directory were when the verification began, by writer. */
  readonly noted: ReadonlyMap<string, number> | undefined;
  /** Where each writer's chain stood behind what was archived. */
  readonly archived: ReadonlyMap<string, ChainPosition>;
  /** How many records of each writer the checkpoints cover. */
  readonly covered: ReadonlyMap<string, number>;
}

/** What a first look at the records of all writers found. */
export interface Survey {
  readonly writers: number;
  readonly records: number;
  readonly unshipped: number;
  readonly uncovered: number;
  readonly torn: number;
  /** Writers whose journal does not begin with a record: it can't be said whose it is. */
  readonly unreadable: readonly string[];
  /** Writers to look at closely: something is wrong with their records, or went on meanwhile. */
  readonly suspects: ReadonlySet<string>;
}

/** Rows of one table that are read once and handed out writer by writer. */
class RowsByWriter {
  readonly #rows: AsyncGenerator<AuditLineRow>;
  #row: AuditLineRow | undefined;

  constructor(rows: AsyncGenerator<AuditLineRow>) {
    this.#rows = rows;
  }

  /** The next writer; all rows of the one before must have been taken. */
  async nextWriter(): Promise<string | undefined> {
    if (this.#row === undefined) await this.#advance();
    return this.#row?.writer;
  }

  /** The rows of the writer that {@link RowsByWriter.nextWriter} named. */
  async *take(): AsyncGenerator<AuditLineRow> {
    const writer = this.#row?.writer;
    while (this.#row !== undefined && this.#row.writer === writer) {
      yield this.#row;
      await this.#advance();
    }
  }

  async #advance(): Promise<void> {
    const result = await this.#rows.next();
    this.#row = result.done === true ? undefined : result.value;
  }
}

class Surveyor {
  readonly #options: SurveyOptions;
  /** Writers that are known and were not met yet. */
  readonly #unmet: Set<string>;
  readonly #unreadable: string[] = [];
  readonly #suspects = new Set<string>();
  readonly #counts = { writers: 0, records: 0, unshipped: 0, uncovered: 0, torn: 0 };

  constructor(options: SurveyOptions) {
    this.#options = options;
    this.#unmet = new Set([...options.covered.keys(), ...(options.noted?.keys() ?? [])]);
  }

  async survey(): Promise<Survey> {
    const { store } = this.#options;
    const rows = new RowsByWriter(allLines(store));
    for (let writer = await rows.nextWriter(); writer !== undefined; writer = await rows.nextWriter()) {
      this.#unmet.delete(writer);
      await this.#look(writer, rows.take());
    }
    for (const writer of [...this.#unmet].sort()) await this.#look(writer, linesOf(store, writer));
    return { ...this.#counts, unreadable: this.#unreadable, suspects: this.#suspects };
  }

  async #look(writer: string, rows: AsyncIterable<AuditLineRow>): Promise<void> {
    const { storeId, directory } = this.#options;
    const covered = this.#options.covered.get(writer) ?? 0;
    const journal = await this.#openJournal(writer);
    const backed = directory !== undefined;
    const archived = this.#options.archived.get(writer);
    const looked = { writer, storeId, rows, journal, covered, attested: new Map<number, Attestation>(), backed, archived };
    const { finding, stored, rows: count } = await verifyWriter(looked);
    if (finding !== undefined) this.#suspects.add(writer);
    // A journal of another store, or a stump: this store has no such writer.
    if (stored === 0 && covered === 0 && journal === undefined) return;
    // A journal that is gone by now was shipped and covered; one that came later does not count.
    const began = backed ? (journal === undefined || journal.missing ? 0 : journal.notedCount) : stored;
    const counts = this.#counts;
    counts.writers++;
    counts.records += count;
    counts.unshipped += Math.max(0, began - stored);
    counts.uncovered += Math.max(0, began - covered);
    counts.torn += journal?.torn ?? 0;
  }

  async #openJournal(writer: string): Promise<JournalReader | undefined> {
    const { storeId, directory, noted } = this.#options;
    const length = noted?.get(writer);
    if (directory === undefined || length === undefined) return undefined;
    const journal = await openJournal(journalPath(directory, writer), storeId, length);
    if (journal === "unreadable") this.#unreadable.push(writer);
    return journal instanceof JournalReader ? journal : undefined;
  }
}

/** Looks at the records of all writers once, page by page. Processes may go on writing. */
export async function surveyWriters(options: SurveyOptions): Promise<Survey> {
  return new Surveyor(options).survey();
}
