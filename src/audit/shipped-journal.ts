import { unlink } from "node:fs/promises";
import type { AuditStore } from "./audit-store.ts";
import { isMissingFile } from "./directory-journals.ts";
import type { ChainPosition } from "./hash-chain.ts";
import { JournalSource } from "./journal-source.ts";
import { shipJournal, type Shipped } from "./shipping.ts";

/** A journal on its way into the store: how far it is shipped and covered, and whether it may go. */
export class ShippedJournal {
  readonly writer: string;
  readonly path: string;
  readonly #source: JournalSource;
  readonly #kind: "own" | "left" | "foreign";
  #covered = 0;
  #whole = false;

  /** @param kind `own`: written by this process; `left`: by one that is gone; `foreign`: by one that may still write, so the file stays */
  constructor(path: string, writer: string, storeId: string, kind: "own" | "left" | "foreign") {
    this.path = path;
    this.writer = writer;
    this.#source = new JournalSource(path, writer, storeId);
    this.#kind = kind;
  }

  /** Position after the last line that the store has. */
  get position(): ChainPosition {
    return this.#source.position;
  }

  /** True when a checkpoint is due for it. */
  get uncovered(): boolean {
    return this.position.count > this.#covered;
  }

  /** True when every whole line is in the store and under a checkpoint, and nobody writes any more: the file may go. */
  get finished(): boolean {
    return this.#whole && !this.uncovered && this.#kind !== "foreign";
  }

  /** Ships up to sequence `upTo`, or all there is. A journal that another process removed was shipped by it. */
  async ship(store: AuditStore, upTo?: number): Promise<Shipped> {
    try {
      const shipped = await shipJournal(store, this.#source, upTo, this.#kind === "own");
      this.#whole = shipped.whole;
      return shipped;
    } catch (error) {
      if (!isMissingFile(error)) throw error;
      this.#whole = true;
      return { added: 0, whole: true, torn: 0 };
    }
  }

  /** Tells that checkpoints cover the chain up to `count`. */
  cover(count: number): void {
    this.#covered = Math.max(this.#covered, count);
  }

  /** Removes the file. */
  async remove(): Promise<void> {
    try {
      await unlink(this.path);
    } catch (error) {
      if (!isMissingFile(error)) throw error;
    }
  }
}
