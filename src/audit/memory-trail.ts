import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import type { RandomSource } from "../crypto/random.ts";
import { randomUuid } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import { identifyProcess } from "../process-identity.ts";
import type { AuditProblem } from "./audit-problem.ts";
import type { AuditStore } from "./audit-store.ts";
import { ChainWriter, type LineSink } from "./chain-writer.ts";
import type { Signer } from "./signature.ts";
import { CheckpointSchedule } from "./checkpoint-schedule.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { AuditEvent, AuditTrail } from "./event.ts";
import { rowsOf } from "./line-group.ts";
import { closeAction, enginePrincipal, openAction } from "./journal.ts";
import type { NewestPoint } from "./newest-records.ts";
import { type AuditSinks, withSinks } from "./sinks/audit-sinks.ts";

/** What a {@link MemoryTrail} stands on. */
export interface MemoryTrailOptions {
  readonly store: AuditStore;
  readonly storeId: string;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** The signer of now; undefined while there is none, and then no checkpoint is taken. */
  readonly signer: () => Signer | undefined;
  /** Where lines go beside the store. */
  readonly sinks?: AuditSinks;
}

/** The audit trail of a store that lives in memory: the same chain and checkpoints, written straight into the store. */
export class MemoryTrail implements AuditTrail {
  readonly #chain: ChainWriter;
  readonly #checkpoints: Checkpoints;
  readonly #schedule: CheckpointSchedule;
  readonly #sinks: AuditSinks | undefined;
  #covered = 0;
  #closed: Promise<void> | undefined;

  private constructor({ store, storeId, clock, random, signer, sinks }: MemoryTrailOptions) {
    const { process, host } = identifyProcess();
    const writer = randomUuid(random);
    const stored: LineSink = {
      append: async (lines) => {
        const rows = rowsOf({ writer, ...lines, pieces: [lines.bytes] });
        await store.transaction((tables) => tables.auditLines.insertAll(rows));
        // A store in memory waits for nothing by itself.
        await nextTurn();
        return undefined;
      },
    };
    const sink = withSinks(stored, writer, sinks);
    this.#sinks = sinks;
    const checkpoints = new Checkpoints({ store, clock, signer });
    this.#checkpoints = checkpoints;
    this.#chain = new ChainWriter({ origin: { store: storeId, writer, process, host }, clock, random, sink });
    this.#schedule = new CheckpointSchedule(clock, async () => {
      const { durable } = this.#chain;
      if (durable.count > this.#covered && (await checkpoints.take([durable])) !== undefined) this.#covered = durable.count;
    });
  }

  /** @throws KeysteadError `AUDIT_UNAVAILABLE` when the store does not take the first record */
  static async open(options: MemoryTrailOptions): Promise<MemoryTrail> {
    const trail = new MemoryTrail(options);
    await trail.#chain.record({ action: openAction, outcome: "allowed", principal: enginePrincipal });
    return trail;
  }

  /** @throws KeysteadError `AUDIT_UNAVAILABLE`, `INVALID_ARGUMENT` for an event that no record can hold, `CLOSED` */
  async record(event: AuditEvent): Promise<void> {
    if (this.#closed !== undefined) throw new KeysteadError("CLOSED", "the audit trail is closed; open the store again");
    if (this.#sinks?.working === false) await this.#sinks.recover();
    await this.#chain.record(event);
    this.#schedule.note();
  }

  /**
   * Resolves when every event that was given to {@link MemoryTrail.record} before is in the store or refused, and a checkpoint
   * covers it while there is a signer. @throws what the store says
   */
  async flush(): Promise<void> {
    await this.#chain.settled();
    await this.#schedule.flush();
  }

  /** Tries failed sinks again, once a second at most. Never throws; {@link MemoryTrail.problems} says what is left. */
  async recover(): Promise<void> {
    await this.#sinks?.recover().catch(() => undefined);
  }

  /** What keeps records from being answered or signed at the moment, each with its cause. */
  get problems(): AuditProblem[] {
    const { problem } = this.#schedule;
    const store = this.#chain.problem?.cause ?? problem;
    return [...(store === undefined ? [] : [{ where: "store", cause: store }]), ...(this.#sinks?.problems ?? [])];
  }

  /** Where reading from the newest record on begins. */
  async newestPoint(): Promise<NewestPoint> {
    return { checkpoint: await this.#checkpoints.findNewest(), writers: [this.#chain.durable.writer] };
  }

  /** Writes the last record and takes the last checkpoint. Closing again does nothing. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#chain.record({ action: closeAction, outcome: "allowed", principal: enginePrincipal }).catch(() => undefined);
    await this.#schedule.flush().catch(() => undefined);
    await this.#schedule.stop();
    await this.#sinks?.close();
  }
}
