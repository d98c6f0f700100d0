import { endsInTime } from "../clock.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import { identifyProcess } from "../process-identity.ts";
import type { AuditProblem } from "./audit-problem.ts";
import type { AuditStore } from "./audit-store.ts";
import type { Signer } from "./signature.ts";
import { CheckpointSchedule } from "./checkpoint-schedule.ts";
import { Checkpoints, coveredCounts } from "./checkpoints.ts";
import { listJournalWriters } from "./directory-journals.ts";
import type { AuditEvent, AuditTrail } from "./event.ts";
import { positionsAt } from "./export/positions.ts";
import { HangingStart, enginePrincipal, Journal, type JournalOptions } from "./journal.ts";
import { findLeftJournals } from "./left-journals.ts";
import { LineMemory } from "./line-memory.ts";
import type { NewestPoint } from "./newest-records.ts";
import { ShippedJournal } from "./shipped-journal.ts";
import { checkWitness, type WitnessReport, writeWitness } from "./witness.ts";

const reopenInterval = 1000;

/** Milliseconds that a record waits for a new journal. */
const patience = 5_000;

/** A journal that is longer than this goes on in a new one. */
export interface JournalLimits {
  readonly records: number;
  readonly bytes: number;
}

const defaultLimits: JournalLimits = { records: 10_000, bytes: 16 * 1024 * 1024 };

/** What a {@link FileTrail} stands on. */
export interface FileTrailOptions extends Omit<JournalOptions, "continues"> {
  readonly store: AuditStore;
  /** The signer of now; undefined while there is none, and then no checkpoint is taken. */
  readonly signer: () => Signer | undefined;
  /** Default: 10,000 records, 16 MiB. */
  readonly limits?: JournalLimits;
  /** Hash of the checkpoint up to which records were archived. */
  readonly archived?: string;
}

/** What a journal held that a process left behind. */
export interface AdoptedJournal {
  readonly writer: string;
  /** Lines that were not in the store yet. */
  readonly added: number;
  /** Records it holds. */
  readonly count: number;
  /** Bytes of a torn last line, which was never answered and is dropped. */
  readonly torn: number;
  /** Why it could not be taken over whole; undefined when it was. The file stays then. */
  readonly problem: unknown;
}

const unsigned = new KeysteadError(
  "AUDIT_UNAVAILABLE",
  "the audit key can't sign checkpoints, so that records deleted from the store would not be missed; `keystead doctor` says why",
);

/**
 * The audit trail of a process with a data directory: a journal that answers, and behind it the store that keeps.
 *
 * Every second with traffic, after 1,000 records (twice a second at most) and at close, durable lines are shipped to the store and a checkpoint is
 * signed over them. A journal that grew long then goes on in a new one, and its file is removed. Opening takes over what
 * processes that are gone left behind. When the journal's disk fails, nothing is recorded until a new journal can be started;
 * that is tried at most once a second. When it hangs, nothing is recorded until it has ended what it was given.
 */
export class FileTrail implements AuditTrail {
  readonly #options: FileTrailOptions;
  readonly #checkpoints: Checkpoints;
  readonly #schedule: CheckpointSchedule;
  /** Journals that are still needed, the own one included, by writer. */
  readonly #journals = new Map<string, ShippedJournal>();
  /** Records that wait for a new journal. */
  readonly #recording = new Set<Promise<void>>();
  #journal: Journal;
  /** The journal that this one goes on from. */
  #former: Journal | undefined;
  #switching: Promise<void> | undefined;
  /** Why the next journal can't be started, while its first write hangs. */
  #hangingStart: HangingStart | undefined;
  #lastReopen = Number.NEGATIVE_INFINITY;
  #witness: WitnessReport;
  #adopted: readonly AdoptedJournal[] = [];
  /** There is something to cover, and nobody who signs. */
  #isUnsigned = false;
  #closed: Promise<void> | undefined;

  private constructor(options: FileTrailOptions, journal: Journal, witness: WitnessReport) {
    const { store, clock, signer } = options;
    const near = witness.witness?.checkpoint;
    this.#options = options;
    this.#journal = journal;
    this.#witness = witness;
    this.#checkpoints = new Checkpoints({ store, clock, signer, ...(near === undefined ? {} : { near }) });
    this.#schedule = new CheckpointSchedule(options.clock, () => this.#tend());
    this.#track(journal);
  }

  /**
   * Starts a journal, holds the witness against the store, and takes over journals that were left behind.
   * @throws KeysteadError `AUDIT_UNAVAILABLE`, `INSECURE_FILE`, and what the store says
   */
  static async open(given: FileTrailOptions): Promise<FileTrail> {
    const options = { memory: new LineMemory(), ...given };
    const { directory, storeId, store } = options;
    const witness = await checkWitness(directory, storeId, store);
    const trail = new FileTrail(options, await Journal.open(options), witness);
    try {
      await trail.#adopt();
    } catch (error) {
      await trail.close();
      throw error;
    }
    return trail;
  }

  /** What the witness of this directory says about the store. While it has a problem it is not replaced. */
  get witness(): WitnessReport {
    return this.#witness;
  }

  /** What was taken over when the trail was opened. */
  get adopted(): readonly AdoptedJournal[] {
    return this.#adopted;
  }

  /** Why lines can't be shipped or checkpoints taken at the moment; undefined when they can. Records are safe in the journal. */
  get problem(): unknown {
    return this.#schedule.problem;
  }

  /** What keeps records from being answered, shipped or signed at the moment, each with its cause. */
  get problems(): AuditProblem[] {
    const journal = this.#journalProblem === undefined ? [] : [{ where: "journal", ...this.#journalProblem }];
    const store = this.problem === undefined ? [] : [{ where: "store", cause: this.problem }];
    const checkpoints = this.#isUnsigned ? [{ where: "checkpoints", cause: unsigned }] : [];
    return [...journal, ...store, ...checkpoints, ...(this.#options.sinks?.problems ?? [])];
  }

  get #journalProblem(): Omit<AuditProblem, "where"> | undefined {
    if (this.#hangingStart !== undefined) return { cause: this.#hangingStart, hangs: true };
    const { problem } = this.#journal;
    // One that was gone on from and hangs still keeps the process.
    return problem ?? (this.#former?.problem?.hangs === true ? this.#former.problem : undefined);
  }

  /**
   * Records that are durable in the journal and not in the store yet. Under load that has no bound but the disk's; what is kept of
   * them in memory has.
   */
  get lag(): number {
    return [...this.#journals.values()].reduce((sum, journal) => sum + journal.lag, 0);
  }

  /** @throws KeysteadError `AUDIT_UNAVAILABLE`, `INVALID_ARGUMENT` for an event that no record can hold, `CLOSED` */
  record(event: AuditEvent): Promise<void> {
    if (this.#closed !== undefined || this.#journal.failed || this.#options.sinks?.working === false) return this.#recordLater(event);
    return this.#journal.record(event);
  }

  /**
   * Resolves when every event that was given to {@link FileTrail.record} before is in the store, and a checkpoint covers it
   * while there is a signer. Those that are refused are in neither.
   * @throws KeysteadError `AUDIT_TAMPERED` when the store holds something else than a journal, and what the store says
   */
  async flush(): Promise<void> {
    await Promise.allSettled([...this.#recording, this.#switching, this.#journal.settled()]);
    await this.#schedule.flush();
  }

  /** Where reading from the newest record on begins: what no checkpoint covers is in a journal. */
  async newestPoint(): Promise<NewestPoint> {
    return { checkpoint: await this.#checkpoints.findNewest(), writers: await listJournalWriters(this.#options.directory) };
  }

  /**
   * From now on the witness follows the store again. Call it after a person has decided to go on with a store that was put back.
   */
  async acceptWitness(): Promise<void> {
    const { witness, problem } = this.#witness;
    if (problem === undefined) return;
    const detail = witness === undefined ? { problem } : { problem, checkpoint: witness.checkpoint, generation: witness.generation };
    await this.record({ action: "audit.accept-witness", outcome: "allowed", principal: enginePrincipal, detail });
    this.#witness = { witness, problem: undefined };
    await this.flush();
  }

  /**
   * Ends the journal, ships it, takes the last checkpoint and removes the file. What can't be shipped now stays in the journal,
   * and the next process ships it. Closing again does nothing.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (this.#hangingStart === undefined) await this.#switching?.catch(() => undefined);
    await this.#journal.close().catch(() => undefined);
    await this.#schedule.flush().catch(() => undefined);
    await this.#schedule.stop();
    for (const journal of this.#journals.values()) journal.release();
    await this.#options.sinks?.close();
  }

  /** Records once what keeps that from being done is over. */
  async #recordLater(event: AuditEvent): Promise<void> {
    if (this.#closed !== undefined) throw new KeysteadError("CLOSED", "the audit trail is closed; open the store again");
    const { sinks } = this.#options;
    if (sinks?.working === false) await sinks.recover();
    if (this.#journal.failed) await this.#recordAnew(event);
    else await this.#journal.record(event);
  }

  /**
   * Tries again what failed, as {@link FileTrail.record} does, so that a process without traffic recovers, too: once a second at most.
   * Never throws; {@link FileTrail.problems} says what is left.
   */
  async recover(): Promise<void> {
    await this.#options.sinks?.recover().catch(() => undefined);
    if (this.#closed === undefined && this.#journal.failed) await this.#reopen().catch(() => undefined);
  }

  /** Records once there is a new journal. */
  async #recordAnew(event: AuditEvent): Promise<void> {
    const recording = this.#reopen().then(() => this.#journal.record(event));
    this.#recording.add(recording);
    try {
      await recording;
    } finally {
      this.#recording.delete(recording);
    }
  }

  #track(own: Journal): void {
    const { directory, storeId } = this.#options;
    const { writer } = own.durable;
    own.kept.follow((lines) => {
      this.#schedule.note(lines);
    });
    this.#journals.set(writer, new ShippedJournal({ directory, writer, storeId, own }));
  }

  /** One attempt a second: a full disk must not be asked for each request. Who waits for one that hangs is refused. */
  async #reopen(): Promise<void> {
    const { clock } = this.#options;
    const unavailable = new KeysteadError(
      "AUDIT_UNAVAILABLE",
      "the audit journal's disk failed, so nothing is answered; free space or repair it, then try again",
    );
    if (this.#hangingStart !== undefined) throw unavailable;
    if (this.#switching === undefined) {
      const now = clock.monotonic();
      if (now - this.#lastReopen < reopenInterval) throw unavailable;
      this.#lastReopen = now;
    }
    if (!(await endsInTime(clock, patience, this.#switchJournal()))) throw unavailable;
  }

  /** Goes on in a new journal; one attempt at a time. */
  async #switchJournal(): Promise<void> {
    this.#switching ??= this.#startJournal().finally(() => {
      this.#switching = undefined;
    });
    await this.#switching;
  }

  async #startJournal(): Promise<void> {
    const ended = this.#journal;
    this.#journal = await this.#openNext(ended.durable.writer);
    this.#former = ended;
    this.#track(this.#journal);
    await ended.close().catch(() => undefined);
  }

  /** Waits for one whose first write hangs: another one would only hang beside it. */
  async #openNext(continues: string): Promise<Journal> {
    try {
      return await Journal.open({ ...this.#options, continues });
    } catch (error) {
      if (error instanceof HangingStart) {
        this.#hangingStart = error;
        await error.ended.catch(() => undefined);
        this.#hangingStart = undefined;
      }
      throw error;
    }
  }

  async #adopt(): Promise<void> {
    const { directory, storeId, store, identity = identifyProcess() } = this.#options;
    const left = await findLeftJournals({ directory, storeId, own: identity, ownPath: this.#journal.path });
    if (left.length === 0) return;
    const { archived: checkpoint } = this.#options;
    const positions = checkpoint === undefined ? undefined : await positionsAt(store, checkpoint);
    const journals = left.map(({ writer, gone, lock }) => {
      const archived = positions?.get(writer)?.count ?? 0;
      return new ShippedJournal({ directory, writer, storeId, keep: !gone, lock, archived });
    });
    for (const journal of journals) this.#journals.set(journal.writer, journal);
    const covered = await coveredCounts(store, new Set(this.#journals.keys()));
    const adopted: AdoptedJournal[] = [];
    for (const [index, journal] of journals.entries()) {
      journal.cover(covered.get(journal.writer) ?? 0);
      adopted.push(await this.#adoptOne(journal, left[index]?.gone === true));
    }
    this.#adopted = adopted;
    // What can't be done now is tried again with the next traffic; problem says why.
    await this.flush().catch(() => undefined);
  }

  async #adoptOne(journal: ShippedJournal, gone: boolean): Promise<AdoptedJournal> {
    const { writer } = journal;
    let shipped = { added: 0, torn: 0 };
    let problem: unknown;
    try {
      shipped = await journal.ship(this.#options.store);
    } catch (error) {
      problem = error;
    }
    const { added, torn } = shipped;
    const { count } = journal.position;
    // A damaged journal stays as it is, evidence. Any other trouble passes: it is shipped with the next traffic.
    if (isKeysteadError(problem, "AUDIT_TAMPERED")) {
      journal.release();
      this.#journals.delete(writer);
    }
    if (gone) {
      const outcome = problem === undefined ? "allowed" : "failed";
      await this.record({ action: "journal.adopt", outcome, principal: enginePrincipal, detail: { writer, count, torn } });
    }
    return { writer, added, count, torn, problem };
  }

  async #tend(): Promise<void> {
    const journals = [...this.#journals.values()];
    const failures: Error[] = [];
    for (const journal of journals) {
      try {
        await journal.ship(this.#options.store);
      } catch (error) {
        // One journal that can't be shipped must not keep the others, and what was shipped, from being covered.
        failures.push(error instanceof Error ? error : new Error("shipping failed", { cause: error }));
      }
    }
    await this.#cover(journals.filter((journal) => journal.uncovered));
    for (const journal of journals) await this.#removeFinished(journal);
    const [failure] = failures;
    if (failure !== undefined) throw failure;
    await this.#rotate();
  }

  async #cover(grown: readonly ShippedJournal[]): Promise<void> {
    const { directory, storeId, random } = this.#options;
    const positions = grown.map((journal) => journal.position);
    const taken = await this.#checkpoints.take(positions);
    this.#isUnsigned = taken === undefined && (positions.length > 0 || this.#isUnsigned);
    if (taken === undefined) return;
    for (const { writer, count } of positions) this.#journals.get(writer)?.cover(count);
    if (this.#witness.problem !== undefined) return;
    await writeWitness(directory, { store: storeId, generation: taken.generation, checkpoint: taken.hash }, random);
  }

  async #removeFinished(journal: ShippedJournal): Promise<void> {
    if (!journal.finished) return;
    await journal.remove();
    this.#journals.delete(journal.writer);
  }

  /** Begins a new journal when the own one grew long, unless it holds much that the store does not have and cover. */
  async #rotate(): Promise<void> {
    const { limits = defaultLimits } = this.#options;
    const own = this.#journals.get(this.#journal.durable.writer);
    if (own === undefined || own.uncovered || this.#closed !== undefined || this.#journal.failed) return;
    if (own.position.count < limits.records && own.size < limits.bytes) return;
    await this.#switchJournal();
    // The last record of the old journal and the first of the new one want to be shipped, too.
    this.#schedule.note();
  }
}
