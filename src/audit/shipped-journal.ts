import { stat } from "node:fs/promises";
import { KeysteadError } from "../errors.ts";
import type { AuditStore } from "./audit-store.ts";
import type { ChainPosition } from "./hash-chain.ts";
import { isMissingFile, journalPath, lockPath, removeFile } from "./journal-file.ts";
import type { JournalLock } from "./journal-lock.ts";
import { JournalSource } from "./journal-source.ts";
import type { Journal } from "./journal.ts";
import { shipJournal, shipKept, type Shipped } from "./shipping.ts";

/** Which journal is shipped. */
export interface ShippedJournalParts {
  readonly directory: string;
  readonly writer: string;
  readonly storeId: string;
  /** The journal itself when this process writes it: only what is durable is shipped while it does. */
  readonly own?: Journal;
  /** True when a process elsewhere may still write it: its lines are copied, the file stays. */
  readonly keep?: boolean;
  /** Records of it that were archived. */
  readonly archived?: number;
  /** Given back when the journal is removed or let go. */
  readonly lock?: JournalLock | undefined;
}

/** A journal on its way into the store: how far it is shipped and covered, and whether it may go. */
export class ShippedJournal {
  readonly #parts: ShippedJournalParts;
  readonly #source: JournalSource;
  #covered = 0;
  #whole = false;
  /** True when the own journal was removed by somebody who did not ship it. */
  #wasRemoved = false;

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
    try {
      if (own !== undefined) await this.#lookAtFile(store, own.durable);
      const added = own === undefined ? 0 : await shipKept(store, this.#source, own.kept, own.durable.count);
      if (this.#wasRemoved) throw removed(this.#source.path);
      if (own?.closed === false) return { added, whole: false, torn: 0 };
      // What follows in the file was never answered; it is kept nevertheless.
      const shipped = await shipJournal(store, this.#source, undefined, this.#parts.archived);
      this.#whole = shipped.whole;
      return { ...shipped, added: added + shipped.added };
    } catch (error) {
      if (!isMissingFile(error)) throw error;
      if (own !== undefined && !(await isStored(store, own.durable))) throw removed(this.#source.path);
      this.#whole = true;
      return { added: 0, whole: true, torn: 0 };
    }
  }

  /** Durable records that the store does not have yet, as far as this process knows. */
  get lag(): number {
    return Math.max(0, (this.#parts.own?.durable.count ?? 0) - this.position.count);
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

  /** Lines that this process keeps reach the store without their file; that it was removed must show nevertheless. */
  async #lookAtFile(store: AuditStore, durable: ChainPosition): Promise<void> {
    try {
      await stat(this.#source.path);
    } catch (error) {
      if (!isMissingFile(error)) throw error;
      this.#wasRemoved ||= !(await isStored(store, durable));
    }
  }
}

async function isStored(store: AuditStore, { writer, count }: ChainPosition): Promise<boolean> {
  return (await store.read((tables) => tables.auditLines.get({ writer, sequence: count }))) !== undefined;
}

function removed(path: string): KeysteadError {
  return new KeysteadError("AUDIT_TAMPERED", `the journal ${path} was removed before its records were in the store; find out by whom`);
}
