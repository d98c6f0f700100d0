import type { Caller } from "../access/caller.ts";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { z } from "zod";
import type { AuditTrail } from "../audit/event.ts";
import { checkpointsBackwards, positionsAt } from "../audit/export/positions.ts";
import { verifyAuditExport } from "../audit/export/verify-export.ts";
import { type ExportParts, type ExportSummary, writeExport } from "../audit/export/write-export.ts";
import { writeWhole } from "../durable-file.ts";
import { isKeysteadError, KeysteadError } from "../errors.ts";
import type { Store, StoreTables } from "../store/store.ts";

/** Setting that says what was archived last. */
const archiveSetting = "auditArchive";

const batchLines = 200;

const archiveSchema = z.object({ checkpoint: z.string().regex(/^[0-9a-f]{64}$/), until: z.number() });

/** What is archived, and by whom. */
export interface AuditArchiveOptions {
  /** Records that checkpoints from before this instant cover. */
  readonly until: Date;
  /** Where they go; a file that is there is not replaced. */
  readonly file: string;
  /** 1 to 1,024 characters, for the record of it. */
  readonly reason?: string;
}

/** What was archived. */
export interface AuditArchiveReport extends ExportSummary {
  readonly file: string;
  /** SHA-256 of the file, hexadecimal. */
  readonly digest: string;
  /** The checkpoint up to which records were archived. */
  readonly checkpoint: string;
  /** Lines that were removed from the store. */
  readonly removed: number;
}

/** The checkpoint up to which records were archived; undefined when none were. */
export async function archivedCheckpoint(tables: StoreTables): Promise<string | undefined> {
  const stored = await tables.settings.get({ name: archiveSetting });
  if (stored === undefined) return undefined;
  try {
    return archiveSchema.parse(JSON.parse(stored.value)).checkpoint;
  } catch {
    throw new KeysteadError(
      "STORE_TAMPERED",
      `the setting ${archiveSetting} is not what an archive writes; restore the store from a backup`,
    );
  }
}

/** What archiving needs. */
export interface ArchiveParts {
  readonly store: Store;
  readonly trail: AuditTrail;
  readonly exported: ExportParts;
  /** Who archives. */
  readonly by: Pick<Caller, "principal" | "request">;
}

/** The newest checkpoint from before an instant, that was not archived yet. */
async function findCut(store: Store, closing: string, until: number, archived: string | undefined): Promise<string | undefined> {
  for await (const { hash, takenAt } of checkpointsBackwards(store, closing)) {
    if (hash === archived) return undefined;
    if (takenAt < until) return hash;
  }
  return undefined;
}

/** Writes the export and reads it back. @throws KeysteadError `AUDIT_TAMPERED` naming what is wrong in it */
async function writeVerified(file: string, parts: ExportParts): Promise<ExportSummary & { readonly digest: string }> {
  const { readable, writable } = new TransformStream<Buffer, Buffer>();
  const writer = writable.getWriter();
  const written = createHash("sha256");
  const exporting = writeExport(parts, async (chunk) => {
    written.update(chunk);
    await writer.write(chunk);
  }).then(
    async (summary) => {
      await writer.close();
      return summary;
    },
    async (error: unknown) => {
      await writer.abort(error);
      throw error;
    },
  );
  const temporary = `${file}.part`;
  const taken = `${file} exists already and is left as it is; name another file`;
  const [stored, summary] = await Promise.allSettled([
    writeWhole(file, readable, { temporary, taken, busy: `${temporary} is there, left by another command; remove it` }),
    exporting,
  ]);
  if (stored.status === "rejected") throw stored.reason;
  if (summary.status === "rejected") throw summary.reason;
  const read = createHash("sha256");
  const report = await verifyAuditExport(hashing(createReadStream(file), read), {
    pinnedKeys: parts.signers.map(({ publicKey }) => publicKey),
  });
  const digest = read.digest("hex");
  const [finding] = report.findings;
  if (finding !== undefined || digest !== written.digest("hex") || report.records !== summary.value.records) {
    const place = finding?.writer === undefined ? "" : `record ${String(finding.sequence)} of ${finding.writer} `;
    throw new KeysteadError(
      "AUDIT_TAMPERED",
      `the archive ${file} does not verify, so nothing was removed from the store: ${place}${finding?.problem ?? "it was not written whole"}; run: keystead audit verify`,
    );
  }
  return { ...summary.value, digest };
}

async function* hashing(chunks: AsyncIterable<Buffer>, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

/** @throws KeysteadError `CONFLICT` when another archive ended since this one was begun */
async function assertNewest(tables: StoreTables, archived: string | undefined, file: string): Promise<void> {
  if ((await archivedCheckpoint(tables)) === archived) return;
  throw new KeysteadError(
    "CONFLICT",
    `another archive ended while this one was made, so this one removed nothing; its records are in the other's file, or in the store still: delete ${file} if it is there, then archive again`,
  );
}

/** @param archived - what was archived when this archive was begun: one that ended since may have removed more than this one would say */
async function setArchived(store: Store, value: string, archived: string | undefined, file: string): Promise<void> {
  await store.transaction(async (tables) => {
    await assertNewest(tables, archived, file);
    const { settings } = tables;
    const stored = await settings.get({ name: archiveSetting });
    if (stored === undefined) await settings.insert({ name: archiveSetting, value });
    else await settings.update({ ...stored, value });
  });
}

/** Removes the lines that a checkpoint covers, from the first on, in transactions of bounded size. */
async function removeLines(store: Store, checkpoint: string): Promise<number> {
  let removed = 0;
  for (const [writer, { count }] of await positionsAt(store, checkpoint)) {
    for (let more = true; more;) {
      const gone = await store.transaction(async ({ auditLines }) => {
        const lines = (await auditLines.list({ writer }, { limit: batchLines })).filter(({ sequence }) => sequence <= count);
        for (const line of lines) await auditLines.remove(line);
        return lines.length;
      });
      removed += gone;
      more = gone === batchLines;
    }
  }
  return removed;
}

/**
 * Moves the oldest records from the store into a file: writes an export of them, reads it back and verifies it, records the act, and
 * only then removes them. What an interrupted archive left in the store is removed with the next one. Of several at once one removes records.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` when there is nothing to archive, `CONFLICT` when the file is there or another archive ended
 *   meanwhile, `AUDIT_TAMPERED` when the records don't verify: nothing is removed then
 */
export async function archiveAudit(
  { store, trail, exported, by: { principal, request } }: ArchiveParts,
  { until, file, reason }: AuditArchiveOptions,
): Promise<AuditArchiveReport> {
  const archived = await store.read(archivedCheckpoint);
  const checkpoint = await findCut(store, exported.closing, until.getTime(), archived);
  if (checkpoint === undefined) {
    throw new KeysteadError("INVALID_ARGUMENT", "no record from before this time is left to archive; name a later one");
  }
  const writing = writeVerified(file, { ...exported, upTo: checkpoint, ...(archived !== undefined && { archived }) });
  const { digest, ...summary } = await writing.catch(async (error: unknown) => {
    // Records that another one moved meanwhile are not missing.
    await store.read((tables) => assertNewest(tables, archived, file));
    throw error;
  });
  const detail = { file, digest, records: summary.records, writers: summary.writers, until: until.toISOString(), checkpoint };
  const act = {
    action: "audit.archive",
    principal,
    ...(request !== undefined && { request }),
    ...(reason !== undefined && { reason }),
    detail,
  };
  await trail.record({ ...act, outcome: "allowed" });
  const value = JSON.stringify({ checkpoint, until: until.getTime(), digest, records: summary.records });
  try {
    await setArchived(store, value, archived, file);
  } catch (error) {
    if (isKeysteadError(error)) await trail.record({ ...act, outcome: "failed", code: error.code });
    throw error;
  }
  return { ...summary, file, digest, checkpoint, removed: await removeLines(store, checkpoint) };
}
