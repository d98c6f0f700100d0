import { KeysteadError } from "../errors.ts";
import type { AuditStore } from "./audit-store.ts";
import type { ChainPosition } from "./hash-chain.ts";
import { isMissingFile, journalPath, lockPath, removeFile } from "./journal-file.ts";
import type { JournalLock } from "./journal-lock.ts";
import { JournalSource } from "./journal-source.ts";
import type { Journal } from "./journal.ts";
import { shipJournal, type Shipped } from "./shipping.ts";

/** Which journal is shipped. */
export interface ShippedJournalParts {
  readonly directory: string;
  readonly writer: string;
  readonly storeId: string;
  /** The journal itself when this process writes it: only what is durable is shipped while it does. */
  readonly own?: Journal;
  /** True when a process elsewhere may still write it: its lines are copied, the file stays. */
  readonly keep?: boolean;
  /** Given back when the journal is removed or let go. */
  readonly lock?: JournalLock | undefined;
}

/** A journal on its way into the store: how far it is shipped and covered, and whether it may go. */
export class ShippedJournal {
  readonly #parts: ShippedJournalParts;
  readonly #source: JournalSource;
  #covered = 0;
  #whole = false;

  constructor(parts: ShippedJournalParts) {
    this.#parts = parts;
    this.#source = new JournalSource(journalPath(parts.directory, parts.writer), parts.writer, parts.storeId);
  }

  get writer(): string {
    return this.#parts.writer;
  }

  /** Position after the last line that the store has. */
  get position(): ChainPosition {
    return this.#source.position;
  }

  /** Bytes of the lines that the store has. */
  get size(): number {
    return this.#source.offset;
  }

  /** True when a checkpoint is due for it. */
  get uncovered(): boolean {
    return this.position.count > this.#covered;
  }

  /** True when every whole line is in the store and under a checkpoint, and nobody writes any more: the file may go. */
  get finished(): boolean {
    return this.#whole && !this.uncovered && this.#parts.keep !== true;
  }

  /**
   * Ships what is durable. A journal that another process removed was shipped by it.
   * @throws KeysteadError `AUDIT_TAMPERED` as {@link shipJournal} does, and when the own journal is gone before it was shipped
   */
  async ship(store: AuditStore): Promise<Shipped> {
    const { own } = this.#parts;
    const upTo = own === undefined || own.closed ? undefined : own.durable.count;
    try {
      const shipped = await shipJournal(store, this.#source, upTo, own !== undefined);
      this.#whole = shipped.whole;
      return shipped;
    } catch (error) {
      if (!isMissingFile(error)) throw error;
      if (own !== undefined) await this.#assertStored(store, own.durable);
      this.#whole = true;
      return { added: 0, whole: true, torn: 0 };
    }
  }

  /** Tells that checkpoints cover the chain up to `count`. */
  cover(count: number): void {
    this.#covered = Math.max(this.#covered, count);
  }

  /** Removes the file and then its lock. */
  async remove(): Promise<void> {
    const { directory, writer } = this.#parts;
    await removeFile(journalPath(directory, writer));
    this.release();
    await removeFile(lockPath(directory, writer));
  }

  /** Leaves the file to another process. */
  release(): void {
    this.#parts.lock?.release();
  }

  async #assertStored(store: AuditStore, { writer, count }: ChainPosition): Promise<void> {
    if ((await store.read((tables) => tables.auditLines.get({ writer, sequence: count }))) !== undefined) return;
    throw new KeysteadError(
      "AUDIT_TAMPERED",
      `the journal ${this.#source.path} was removed before its records were in the store; find out by whom`,
    );
  }
}
