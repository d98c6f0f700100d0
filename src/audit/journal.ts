import { unlink } from "node:fs/promises";
import type { Principal } from "../access/principal.ts";
import type { Clock } from "../clock.ts";
import type { RandomSource } from "../crypto/random.ts";
import { randomUuid } from "../crypto/uuid.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import { syncDirectory } from "../durable-file.ts";
import { identifyProcess, type ProcessIdentity } from "../process-identity.ts";
import type { AuditProblem } from "./audit-problem.ts";
import { ChainWriter, type LineSink } from "./chain-writer.ts";
import type { AuditEvent, AuditTrail } from "./event.ts";
import type { ChainPosition } from "./hash-chain.ts";
import {
  type JournalFile,
  JournalFileSink,
  journalPath,
  lockPath,
  type OpenJournalFile,
  openJournalFile,
  prepareJournalDirectory,
} from "./journal-file.ts";
import { JournalLock } from "./journal-lock.ts";
import { KeptLines } from "./kept-lines.ts";
import type { LineMemory } from "./line-memory.ts";
import { PatientSink } from "./patient-sink.ts";
import type { AuditRecord } from "./record.ts";
import { type AuditSinks, withSinks } from "./sinks/audit-sinks.ts";

/** The principal of what the audit records about itself. */
export const enginePrincipal: Principal = { source: "engine", id: "keystead" };

/** Where and for whom a journal is kept. */
export interface JournalOptions {
  /** Made when missing; for the owner only. */
  readonly directory: string;
  readonly storeId: string;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Default: what the operating system says about this process. */
  readonly identity?: ProcessIdentity;
  /** Creates the file. Default: {@link openJournalFile}. */
  readonly openFile?: OpenJournalFile;
  /** Where lines go beside the journal. */
  readonly sinks?: AuditSinks;
  /** Memory for the lines that are kept for the store. Default: memory of its own. */
  readonly memory?: LineMemory;
  /** The writer whose journal this one goes on from. */
  readonly continues?: string;
}

/** First and last record of every chain. */
export const openAction = "journal.open";
export const closeAction = "journal.close";

/** A journal that can't be started because its first write hangs. */
export class HangingStart extends KeysteadError {
  /** Resolves when the write has ended, and nothing is left of it. */
  readonly ended: Promise<void>;

  constructor(cause: unknown, ended: Promise<void>) {
    super("AUDIT_UNAVAILABLE", "the audit journal's disk does not take its first record, so nothing is answered; see that it answers", {
      cause,
    });
    this.ended = ended;
  }
}

interface JournalParts {
  readonly chain: ChainWriter;
  readonly kept: KeptLines;
  readonly sink: PatientSink;
  readonly file: JournalFile;
  readonly lock: JournalLock;
  readonly path: string;
}

/**
 * The audit of one process: an append-only file `<directory>/<writer id>.jsonl`, one hash chain, one writer.
 *
 * A record is answered after the asynchronous fdatasync that covers it. When a write fails the journal refuses everything
 * from then on; a new journal starts a new chain. While a write hangs it refuses everything, too, and goes on when the write ends well.
 */
export class Journal implements AuditTrail {
  /** Durable lines for whoever ships them. */
  readonly kept: KeptLines;
  readonly #chain: ChainWriter;
  readonly #sink: PatientSink;
  readonly #file: JournalFile;
  readonly #lock: JournalLock;
  /** Path of the file. */
  readonly path: string;
  #ended = false;
  #closed = false;

  private constructor({ chain, kept, sink, file, lock, path }: JournalParts) {
    this.#chain = chain;
    this.kept = kept;
    this.#sink = sink;
    this.#file = file;
    this.#lock = lock;
    this.path = path;
  }

  /**
   * Starts a new chain in a new file. Resolves when its first record is durable.
   * @throws KeysteadError `AUDIT_UNAVAILABLE` when that can't be done ({@link HangingStart} while it may be yet), `INSECURE_FILE` when others may write to the directory
   */
  static async open({
    directory,
    storeId,
    clock,
    random,
    identity = identifyProcess(),
    openFile = openJournalFile,
    continues,
    sinks,
    memory,
  }: JournalOptions): Promise<Journal> {
    const writer = randomUuid(random);
    const path = journalPath(directory, writer);
    let file: JournalFile | undefined;
    let lock: JournalLock | undefined;
    let sink: PatientSink | undefined;
    let chain: ChainWriter | undefined;
    const removeStump = async (): Promise<void> => {
      // What is being written must not go into another file that gets the number of this one.
      await chain?.idle();
      sink?.end();
      await file?.close().catch(() => undefined);
      // Nothing was answered yet: no reason to leave a stump.
      lock?.release();
      if (file !== undefined) for (const name of [path, lockPath(directory, writer)]) await unlink(name).catch(() => undefined);
    };
    try {
      await prepareJournalDirectory(directory);
      file = await openFile(path);
      // Locked before its first record: nobody judges a journal without one.
      lock = JournalLock.create(lockPath(directory, writer));
      const origin = { store: storeId, writer, process: identity.process, host: identity.host };
      const kept = new KeptLines(memory);
      sink = new PatientSink(new JournalFileSink(file), clock);
      chain = new ChainWriter({ origin, clock, random, sink: withSinks(keepingSink(sink, kept), writer, sinks) });
      await chain.record({ action: openAction, outcome: "allowed", principal: enginePrincipal, detail: openDetail(identity, continues) });
      await syncDirectory(directory);
      return new Journal({ chain, kept, sink, file, lock, path });
    } catch (cause) {
      const removing = removeStump();
      if (chain?.problem?.hangs === true) throw new HangingStart(chain.problem.cause, removing);
      await removing;
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

  /** Why a write failed, or that one hangs; undefined when neither is so. */
  get problem(): Omit<AuditProblem, "where"> | undefined {
    return this.#chain.problem;
  }

  /** True when nothing is written to the file any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** @throws KeysteadError `AUDIT_UNAVAILABLE`, `INVALID_ARGUMENT` for an event that no record can hold, `CLOSED` */
  record(event: AuditEvent): Promise<void> {
    if (this.#ended) return Promise.reject(new KeysteadError("CLOSED", "the audit journal is closed; open the store again"));
    return this.#chain.record(event);
  }

  /** Resolves when everything that was recorded before is durable or refused. */
  async settled(): Promise<void> {
    await this.#chain.settled();
  }

  /**
   * Writes the last record and closes the file, which stays for the shipping. A write that hangs is not waited for: the file is closed when
   * it has ended. Closing again does nothing.
   */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    try {
      if (!this.failed) await this.#chain.record({ action: closeAction, outcome: "allowed", principal: enginePrincipal });
    } finally {
      await this.#chain.settled();
      const closing = this.#closeFile();
      if (this.problem?.hangs === true) closing.catch(() => undefined);
      else await closing;
    }
  }

  async #closeFile(): Promise<void> {
    await this.#chain.idle();
    this.#sink.end();
    this.#closed = true;
    await this.#file.close().finally(() => {
      this.#lock.release();
    });
  }
}

/** Keeps the lines that a sink made durable. */
function keepingSink(sink: LineSink, kept: KeptLines): LineSink {
  return {
    append: async (lines, onHang) => {
      await sink.append(lines, onHang);
      kept.add(lines);
      return undefined;
    },
  };
}

/** What a later process needs to know about the writer, beside its number and host. */
function openDetail({ start, namespace }: ProcessIdentity, continues: string | undefined): Record<string, string> {
  return {
    ...(start !== undefined && { start }),
    ...(namespace !== undefined && { namespace }),
    ...(continues !== undefined && { continues }),
  };
}

/** The writer of a journal, as its first record names it. */
export function writerIdentity({ host, process, detail }: AuditRecord): ProcessIdentity {
  const text = (name: string): string | undefined => {
    const value = detail?.[name];
    return typeof value === "string" ? value : undefined;
  };
  return { host, process, start: text("start"), namespace: text("namespace") };
}
