import { unlink } from "node:fs/promises";
import type { Principal } from "../access/principal.ts";
import type { Clock } from "../clock.ts";
import type { RandomSource } from "../crypto/random.ts";
import { randomUuid } from "../crypto/uuid.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import { syncDirectory } from "../durable-file.ts";
import { ChainWriter } from "./chain-writer.ts";
import type { AuditEvent, AuditTrail } from "./event.ts";
import type { ChainPosition } from "./hash-chain.ts";
import {
  type JournalFile,
  JournalFileSink,
  journalPath,
  type OpenJournalFile,
  openJournalFile,
  prepareJournalDirectory,
} from "./journal-file.ts";
import { hostName, identifyProcess } from "./process-identity.ts";

/** The principal of what the audit records about itself. */
export const enginePrincipal: Principal = { source: "engine", id: "keystead" };

/** Where and for whom a journal is kept. */
export interface JournalOptions {
  /** Made when missing; for the owner only. */
  readonly directory: string;
  readonly storeId: string;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Name of this host. Default: what the operating system says. */
  readonly host?: string;
  /** Creates the file. Default: {@link openJournalFile}. */
  readonly openFile?: OpenJournalFile;
}

/** First and last record of every chain. */
export const openAction = "journal.open";
export const closeAction = "journal.close";

/**
 * The audit of one process: an append-only file `<directory>/<writer id>.jsonl`, one hash chain, one writer.
 *
 * A record is answered after the asynchronous fdatasync that covers it. When a write fails the journal refuses everything
 * from then on; a new journal starts a new chain.
 */
export class Journal implements AuditTrail {
  readonly #chain: ChainWriter;
  readonly #file: JournalFile;
  /** Path of the file. */
  readonly path: string;
  #closed = false;

  private constructor(chain: ChainWriter, file: JournalFile, path: string) {
    this.#chain = chain;
    this.#file = file;
    this.path = path;
  }

  /**
   * Starts a new chain in a new file. Resolves when its first record is durable.
   * @throws KeysteadError `AUDIT_UNAVAILABLE` when that can't be done, `INSECURE_FILE` when others may write to the directory
   */
  static async open({
    directory,
    storeId,
    clock,
    random,
    host = hostName(),
    openFile = openJournalFile,
  }: JournalOptions): Promise<Journal> {
    const writer = randomUuid(random);
    const path = journalPath(directory, writer);
    const { process, start } = identifyProcess(host);
    let file: JournalFile | undefined;
    try {
      await prepareJournalDirectory(directory);
      file = await openFile(path);
      const origin = { store: storeId, writer, process, host };
      const chain = new ChainWriter({ origin, clock, random, sink: new JournalFileSink(file) });
      const detail = start === undefined ? {} : { detail: { start } };
      await chain.record({ action: openAction, outcome: "allowed", principal: enginePrincipal, ...detail });
      await syncDirectory(directory);
      return new Journal(chain, file, path);
    } catch (cause) {
      await file?.close().catch(() => undefined);
      // Nothing was answered yet: no reason to leave a stump.
      if (file !== undefined) await unlink(path).catch(() => undefined);
      if (isKeysteadError(cause)) throw cause;
      const problem = `the audit journal can't be started in ${directory}; make room, or make the directory writable`;
      throw new KeysteadError("AUDIT_UNAVAILABLE", problem, { cause });
    }
  }

  /** Position after the last durable record. Its `writer` is the id of this journal's chain. */
  get durable(): ChainPosition {
    return this.#chain.durable;
  }

  /** True after a failed write: this journal is over. */
  get failed(): boolean {
    return this.#chain.failed;
  }

  /** @throws KeysteadError `AUDIT_UNAVAILABLE`, `INVALID_ARGUMENT` for an event that no record can hold, `CLOSED` */
  async record(event: AuditEvent): Promise<void> {
    if (this.#closed) throw new KeysteadError("CLOSED", "the audit journal is closed; open the store again");
    await this.#chain.record(event);
  }

  /** Writes the last record and closes the file, which stays for the shipping. Closing again does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (!this.failed) await this.#chain.record({ action: closeAction, outcome: "allowed", principal: enginePrincipal });
    } finally {
      await this.#chain.settled();
      await this.#file.close();
    }
  }
}
