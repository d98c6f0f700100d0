import { spawnSync } from "node:child_process";
import { appendFile } from "node:fs/promises";
import type { AuditStore } from "../../../src/audit/audit-store.ts";
import { ChainWriter } from "../../../src/audit/chain-writer.ts";
import type { Signer } from "../../../src/audit/signature.ts";
import type { AuditEvent } from "../../../src/audit/event.ts";
import { FileTrail, type FileTrailOptions } from "../../../src/audit/file-trail.ts";
import { JournalFileSink, journalPath, openJournalFile } from "../../../src/audit/journal-file.ts";
import { enginePrincipal } from "../../../src/audit/journal.ts";
import { type AuditReport, verifyAudit, type VerifyAuditOptions } from "../../../src/audit/verify.ts";
import { systemRandom } from "../../../src/crypto/random.ts";
import { randomUuid } from "../../../src/crypto/uuid.ts";
import { newSigner, newStore, storeId } from "./audit-store.ts";
import { newDirectory } from "./directory.ts";
import { ManualClock } from "./manual-clock.ts";

/** An event with a number in its detail. */
export function numbered(number: number): AuditEvent {
  return { action: "keys.rotate", outcome: "allowed", principal: { source: "embedded", id: "embedded" }, detail: { number } };
}

/** Everything a trail stands on, and how to open and verify it. */
export interface TrailPlace {
  readonly store: AuditStore;
  readonly directory: string;
  readonly clock: ManualClock;
  readonly signer: Signer;
  open(changes?: Partial<FileTrailOptions>): Promise<FileTrail>;
  verify(changes?: Partial<VerifyAuditOptions>): Promise<AuditReport>;
}

/** A new store, directory, clock and signer. */
export async function newPlace(): Promise<TrailPlace> {
  const store = await newStore();
  const directory = await newDirectory();
  const clock = new ManualClock();
  const signer = newSigner();
  return {
    store,
    directory,
    clock,
    signer,
    open: (changes = {}) =>
      FileTrail.open({ store, storeId, directory, clock, random: systemRandom, signer: () => signer, host: "here", ...changes }),
    verify: (changes = {}) => verifyAudit({ store, storeId, directory, findPublicKey: findKeys(signer), ...changes }),
  };
}

/** Knows the public keys of these signers. */
export function findKeys(...signers: readonly Signer[]): VerifyAuditOptions["findPublicKey"] {
  return (keyId) => signers.find((signer) => signer.keyId === keyId)?.publicKeyDer;
}

/** The number of a process that has ended. */
function endedProcess(): number {
  return spawnSync(process.execPath, ["-e", ""]).pid;
}

/** Leaves the journal of a process that is gone: an opening record and `records` more, and then a torn line. */
export async function leaveJournal(
  directory: string,
  records: number,
  torn = "",
  host = "here",
): Promise<{ writer: string; path: string }> {
  const writer = randomUuid(systemRandom);
  const path = journalPath(directory, writer);
  const file = await openJournalFile(path);
  const origin = { store: storeId, writer, process: endedProcess(), host };
  const chain = new ChainWriter({ origin, clock: new ManualClock(), random: systemRandom, sink: new JournalFileSink(file) });
  await chain.record({ action: "journal.open", outcome: "allowed", principal: enginePrincipal });
  await Promise.all(Array.from({ length: records }, (_, index) => chain.record(numbered(index))));
  await file.close();
  await appendFile(path, torn);
  return { writer, path };
}
