import type { Clock } from "../clock.ts";
import type { RandomSource } from "../crypto/random.ts";
import { randomUuid } from "../crypto/uuid.ts";
import { KeysteadError } from "../errors.ts";
import type { AuditStore } from "./audit-store.ts";
import { ChainWriter } from "./chain-writer.ts";
import type { Signer } from "./signature.ts";
import { CheckpointSchedule } from "./checkpoint-schedule.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { AuditEvent, AuditTrail } from "./event.ts";
import { closeAction, enginePrincipal, openAction } from "./journal.ts";
import { hostName, identifyProcess } from "./process-identity.ts";

/** What a {@link MemoryTrail} stands on. */
export interface MemoryTrailOptions {
  readonly store: AuditStore;
  readonly storeId: string;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** The signer of now; undefined while there is none, and then no checkpoint is taken. */
  readonly signer: () => Signer | undefined;
  /** Name of this host. Default: what the operating system says. */
  readonly host?: string;
}

/** The audit trail of a store that lives in memory: the same chain and checkpoints, written straight into the store. */
export class MemoryTrail implements AuditTrail {
  readonly #chain: ChainWriter;
  readonly #schedule: CheckpointSchedule;
  #covered = 0;
  #closed: Promise<void> | undefined;

  private constructor({ store, storeId, clock, random, signer, host = hostName() }: MemoryTrailOptions) {
    const { process } = identifyProcess(host);
    const writer = randomUuid(random);
    const sink = {
      append: (lines: readonly { readonly sequence: number; readonly bytes: Buffer }[]) =>
        store.transaction(async (tables) => {
          for (const { sequence, bytes } of lines) await tables.auditLines.insert({ writer, sequence, line: bytes });
        }),
    };
    const checkpoints = new Checkpoints({ store, clock, signer });
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
    await this.#chain.record(event);
    this.#schedule.note();
  }

  /** Takes a checkpoint now. @throws what the store says */
  flush(): Promise<void> {
    return this.#schedule.flush();
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
  }
}
