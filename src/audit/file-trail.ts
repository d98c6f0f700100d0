import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { AuditStore } from "./audit-store.ts";
import type { Signer } from "./signature.ts";
import { CheckpointSchedule } from "./checkpoint-schedule.ts";
import { Checkpoints, coveredCounts } from "./checkpoints.ts";
import type { AuditEvent, AuditTrail } from "./event.ts";
import { enginePrincipal, Journal, type JournalOptions } from "./journal.ts";
import { hostName } from "./process-identity.ts";
import { ShippedJournal } from "./shipped-journal.ts";
import { findJournals, type FoundJournal } from "./shipping.ts";
import { checkWitness, type WitnessReport, writeWitness } from "./witness.ts";

const reopenInterval = 1000;

/** What a {@link FileTrail} stands on. */
export interface FileTrailOptions extends JournalOptions {
  readonly store: AuditStore;
  /** The signer of now; undefined while there is none, and then no checkpoint is taken. */
  readonly signer: () => Signer | undefined;
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

/**
 * The audit trail of a process with a data directory: a journal that answers, and behind it the store that keeps.
 *
 * Every second with traffic, after 1,000 records and at close, durable lines are shipped to the store and a checkpoint is
 * signed over them. Opening takes over what processes that are gone left behind. When the journal's disk fails, nothing is
 * recorded until a new journal can be started; that is tried at most once a second.
 */
export class FileTrail implements AuditTrail {
  readonly #options: FileTrailOptions;
  readonly #host: string;
  readonly #checkpoints: Checkpoints;
  readonly #schedule: CheckpointSchedule;
  /** Journals that are still needed, the own one included, by writer. */
  readonly #journals = new Map<string, ShippedJournal>();
  #journal: Journal;
  #reopening: Promise<void> | undefined;
  #lastReopen = Number.NEGATIVE_INFINITY;
  #witness: WitnessReport;
  #adopted: readonly AdoptedJournal[] = [];
  #closed: Promise<void> | undefined;

  private constructor(options: FileTrailOptions, host: string, journal: Journal, witness: WitnessReport) {
    const { store, clock, signer } = options;
    const near = witness.witness?.checkpoint;
    this.#options = options;
    this.#host = host;
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
  static async open(options: FileTrailOptions): Promise<FileTrail> {
    const { host = hostName(), directory, storeId, store } = options;
    const witness = await checkWitness(directory, storeId, store);
    const trail = new FileTrail(options, host, await Journal.open(options), witness);
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

  /** @throws KeysteadError `AUDIT_UNAVAILABLE`, `INVALID_ARGUMENT` for an event that no record can hold, `CLOSED` */
  async record(event: AuditEvent): Promise<void> {
    if (this.#closed !== undefined) throw new KeysteadError("CLOSED", "the audit trail is closed; open the store again");
    if (this.#journal.failed) await this.#reopen();
    await this.#journal.record(event);
    this.#schedule.note();
  }

  /**
   * Ships what is durable and takes a checkpoint now.
   * @throws KeysteadError `AUDIT_TAMPERED` when the store holds something else than a journal, and what the store says
   */
  flush(): Promise<void> {
    return this.#schedule.flush();
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
    await this.#reopening?.catch(() => undefined);
    await this.#journal.close().catch(() => undefined);
    await this.#schedule.flush().catch(() => undefined);
    await this.#schedule.stop();
  }

  #track(journal: Journal): void {
    const { writer } = journal.durable;
    this.#journals.set(writer, new ShippedJournal(journal.path, writer, this.#options.storeId, "own"));
  }

  /** One attempt at a time, and one a second: a full disk must not be asked for each request. */
  async #reopen(): Promise<void> {
    this.#reopening ??= this.#startJournal().finally(() => {
      this.#reopening = undefined;
    });
    await this.#reopening;
  }

  async #startJournal(): Promise<void> {
    const now = this.#options.clock.monotonic();
    if (now - this.#lastReopen < reopenInterval) {
      throw new KeysteadError(
        "AUDIT_UNAVAILABLE",
        "the audit journal's disk failed, so nothing is answered; free space or repair it, then try again",
      );
    }
    this.#lastReopen = now;
    const failed = this.#journal;
    this.#journal = await Journal.open(this.#options);
    this.#track(this.#journal);
    await failed.close().catch(() => undefined);
  }

  async #adopt(): Promise<void> {
    const { directory, storeId, store } = this.#options;
    const left = (await findJournals(directory, storeId, this.#host)).filter((found) => found.process !== "running");
    if (left.length === 0) return;
    const covered = await store.read(coveredCounts);
    const adopted: AdoptedJournal[] = [];
    for (const found of left) adopted.push(await this.#adoptOne(found, covered.get(found.writer) ?? 0));
    this.#adopted = adopted;
    // What can't be done now is tried again with the next traffic; problem says why.
    await this.flush().catch(() => undefined);
  }

  async #adoptOne({ path, writer, process }: FoundJournal, covered: number): Promise<AdoptedJournal> {
    const { storeId, store } = this.#options;
    const journal = new ShippedJournal(path, writer, storeId, process === "gone" ? "left" : "foreign");
    journal.cover(covered);
    let shipped = { added: 0, torn: 0 };
    let problem: unknown;
    try {
      shipped = await journal.ship(store);
    } catch (error) {
      problem = error;
    }
    const { added, torn } = shipped;
    const { count } = journal.position;
    // A damaged journal stays as it is, evidence. Any other trouble passes: it is shipped with the next traffic.
    if (!isKeysteadError(problem, "AUDIT_TAMPERED")) this.#journals.set(writer, journal);
    if (process === "gone") {
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
        await journal.ship(this.#options.store, this.#durableCount(journal));
      } catch (error) {
        // One journal that can't be shipped must not keep the others, and what was shipped, from being covered.
        failures.push(error instanceof Error ? error : new Error("shipping failed", { cause: error }));
      }
    }
    await this.#cover(journals.filter((journal) => journal.uncovered));
    for (const journal of journals) await this.#removeFinished(journal);
    const [failure] = failures;
    if (failure !== undefined) throw failure;
  }

  async #cover(grown: readonly ShippedJournal[]): Promise<void> {
    const { directory, storeId, random } = this.#options;
    const positions = grown.map((journal) => journal.position);
    const taken = await this.#checkpoints.take(positions);
    if (taken === undefined) return;
    for (const { writer, count } of positions) this.#journals.get(writer)?.cover(count);
    if (this.#witness.problem !== undefined) return;
    await writeWitness(directory, { store: storeId, generation: taken.generation, checkpoint: taken.hash }, random);
  }

  /** While the own journal is written, only what is durable may be shipped. */
  #durableCount({ writer }: ShippedJournal): number | undefined {
    const { durable } = this.#journal;
    const open = durable.writer === writer && this.#closed === undefined;
    return open ? durable.count : undefined;
  }

  async #removeFinished(journal: ShippedJournal): Promise<void> {
    if (!journal.finished) return;
    await journal.remove();
    this.#journals.delete(journal.writer);
  }
}
