import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isSameProcess, onSameMachine, type ProcessIdentity, processStatus } from "../process-identity.ts";
import { listJournalWriters } from "./directory-journals.ts";
import { isMissingFile, journalPath, journalWriter, lockPath, lockWriter, removeFile, sealJournal } from "./journal-file.ts";
import { type HeldElsewhere, JournalLock, type NoLock } from "./journal-lock.ts";
import { JournalSource, readJournal } from "./journal-source.ts";
import { writerIdentity } from "./journal.ts";
import type { AuditRecord } from "./record.ts";
import { isTemporaryWitness } from "./witness.ts";

/** How long a journal lies untouched, in milliseconds, before its writer counts as gone though nobody here can look for it. */
const patience = 86_400_000;

/** A journal that another process left, or may have left. */
export interface LeftJournal {
  readonly writer: string;
  /** False while its writer may live: what it holds may be copied, the file stays. */
  readonly gone: boolean;
  /** Keeps other processes away from it; undefined when it has none. */
  readonly lock: JournalLock | undefined;
}

/** Where journals were left, and who looks for them. */
export interface LeftJournalsPlace {
  readonly directory: string;
  readonly storeId: string;
  readonly own: ProcessIdentity;
  /** The own journal: its time says what time it is on the disk. */
  readonly ownPath: string;
}

type Lock = JournalLock | HeldElsewhere | NoLock;

/** What is known about the writer of a journal. */
type WriterStatus = "running" | "gone" | "unknown";

/**
 * A held lock says that the writer runs. A free one says that it is gone, where locks are known to reach: but when the
 * process is seen to run, its lock was lost (a program that copies the file drops it), and it runs.
 */
function judge(writer: ProcessIdentity, own: ProcessIdentity, lock: Lock): WriterStatus {
  if (lock === "held") return "running";
  const status = isSameProcess(writer, own) ? "unknown" : processStatus(writer, own);
  if (status !== "unknown") return status;
  return lock !== "none" && onSameMachine(writer, own) ? "gone" : "unknown";
}

/** The first record of a journal; undefined when nothing whole is in it, it is another store's, or the file is gone. */
async function readFirst(path: string, writer: string, storeId: string): Promise<AuditRecord | undefined> {
  try {
    return (await new JournalSource(path, writer, storeId).peek(1)).lines[0]?.record;
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}

/** True for a file that nobody touched for long. */
async function isForgotten(path: string, ownPath: string): Promise<boolean> {
  return (await stat(ownPath)).mtimeMs - (await stat(path)).mtimeMs > patience;
}

/** The journal under its lock; undefined when its writer runs, or another process looks after it. */
async function claim(writer: string, { directory, storeId, own, ownPath }: LeftJournalsPlace): Promise<LeftJournal | undefined> {
  const path = journalPath(directory, writer);
  // Before the lock, which a writer takes before its first record: a journal that is being started is not disturbed.
  const first = await readFirst(path, writer, storeId);
  if (first === undefined) return undefined;
  const taken = JournalLock.take(lockPath(directory, writer));
  const lock = typeof taken === "string" ? undefined : taken;
  try {
    const status = judge(writerIdentity(first), own, taken);
    if (status !== "running") {
      const gone = status === "gone" || (await isForgotten(path, ownPath));
      if (gone) await sealJournal(path);
      return { writer, gone, lock };
    }
  } catch (error) {
    lock?.release();
    // Another process took it over and is done with it.
    if (isMissingFile(error)) return undefined;
    throw error;
  }
  lock?.release();
  return undefined;
}

/** True for a journal that its process was killed over before it had a record. */
async function isStump(path: string): Promise<boolean> {
  const { lines, atEnd } = await readJournal(path, 0);
  return lines.length === 0 && atEnd;
}

/** True for what a process was killed over and nobody needs: stumps, locks without their journal, and witnesses to be. */
async function isStray(name: string, { directory, ownPath }: LeftJournalsPlace): Promise<boolean> {
  const path = join(directory, name);
  const lockedWriter = lockWriter(name);
  // A lock is made after its journal: none without one is still needed.
  if (lockedWriter !== undefined) return !existsSync(journalPath(directory, lockedWriter));
  if (isTemporaryWitness(name)) return isForgotten(path, ownPath);
  return journalWriter(name) !== undefined && (await isForgotten(path, ownPath)) && isStump(path);
}

async function removeStrays(place: LeftJournalsPlace): Promise<void> {
  for (const name of await readdir(place.directory)) {
    try {
      if (await isStray(name, place)) await removeFile(join(place.directory, name));
    } catch (error) {
      if (!isMissingFile(error)) throw error;
    }
  }
}

/**
 * The journals of a store that processes left in a directory, sorted by writer, each locked against other processes. Those of
 * running processes and other stores, and files that are none, are left alone.
 */
export async function findLeftJournals(place: LeftJournalsPlace): Promise<LeftJournal[]> {
  const { directory } = place;
  const left: LeftJournal[] = [];
  for (const writer of await listJournalWriters(directory)) {
    const claimed = await claim(writer, place);
    if (claimed !== undefined) left.push(claimed);
  }
  await removeStrays(place);
  return left;
}
