import { Readable } from "node:stream";
import { createReadStream } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, vi } from "vitest";
import { embeddedPrincipal } from "../../src/access/principal.ts";
import { FileTrail } from "../../src/audit/file-trail.ts";
import { verifyAuditExport } from "../../src/audit/export/verify-export.ts";
import { initKeystead, type Keystead } from "../../src/keystead.ts";
import { codeOf, fileStore, openTestKeystead, temporaryFolder } from "../support/test-keystead.ts";

async function recordSome(keystead: Keystead, first: number): Promise<void> {
  for (let number = first; number < first + 10; number++) {
    await keystead.audit.trail.record({ action: "tests.count", outcome: "allowed", principal: embeddedPrincipal, detail: { number } });
    if (number % 4 === 0) await keystead.audit.flush();
  }
}

function numbersOf(lines: readonly string[]): number[] {
  return lines.flatMap((line) => {
    const { detail, action } = JSON.parse(line) as { detail?: { number?: number }; action?: string };
    return action === "tests.count" && detail?.number !== undefined ? [detail.number] : [];
  });
}

async function linesOf(file: string): Promise<string[]> {
  return (await readFile(file, "utf8")).split("\n").slice(0, -1);
}

/** A store with the chain of a process that has ended, opened by another one. */
async function reopened(): Promise<{ readonly folder: string; readonly keystead: Keystead }> {
  const folder = temporaryFolder();
  const options = fileStore(folder);
  const first = await initKeystead(options);
  await recordSome(first, 0);
  await first.close();
  return { folder, keystead: await openTestKeystead(options) };
}

const later = new Date("2100-01-01");

describe("audit.archive", () => {
  it("moves what checkpoints cover into files that verify, and the store goes on verifying from there on", async () => {
    const { folder, keystead } = await reopened();
    await recordSome(keystead, 10);
    const files = [join(folder, "one.jsonl"), join(folder, "two.jsonl")] as const;
    const before = await keystead.audit.verify();
    const one = await keystead.audit.archive({ until: later, file: files[0] });
    expect(one).toMatchObject({
      removed: one.records,
      file: files[0],
      digest: createHash("sha256")
        .update(await readFile(files[0]))
        .digest("hex"),
    });
    expect((await stat(files[0])).mode & 0o777).toBe(0o600);
    expect(await keystead.audit.verify()).toMatchObject({ findings: [], archived: one.records, records: 1, writers: before.writers });
    expect(await keystead.audit.show({ action: "audit.archive" })).toMatchObject([
      { detail: { digest: one.digest, records: one.records, writers: 2, file: files[0], checkpoint: one.checkpoint } },
    ]);
    await recordSome(keystead, 20);
    const two = await keystead.audit.archive({ until: later, file: files[1], reason: "yearly" });
    await keystead.close();

    const again = await openTestKeystead(fileStore(folder));
    await recordSome(again, 30);
    const report = await again.audit.verify();
    expect(report).toMatchObject({ findings: [], archived: one.records + two.records });
    const rest = (await again.audit.show({ action: "tests", limit: Number.POSITIVE_INFINITY })).map((record) => JSON.stringify(record));
    // Writers come by their ids, which are random.
    const archived = numbersOf([...(await linesOf(files[0])), ...(await linesOf(files[1])), ...rest]);
    expect(archived.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, index) => index));
    const pinnedKeys = (await again.audit.signers()).map(({ publicKey }) => publicKey);
    for (const file of files) expect((await verifyAuditExport(createReadStream(file), { pinnedKeys })).findings).toEqual([]);
    // An export goes on from the archive.
    const chunks: Buffer[] = [];
    await again.audit.export({}, (chunk) => void chunks.push(chunk));
    await writeFile(join(folder, "rest.jsonl"), Buffer.concat(chunks));
    expect((await verifyAuditExport(createReadStream(join(folder, "rest.jsonl")), { pinnedKeys })).findings).toEqual([]);
    expect(numbersOf(await linesOf(join(folder, "rest.jsonl")))).toEqual(Array.from({ length: 10 }, (_, index) => 30 + index));
    await again.close();
  });

  it("removes all that it holds, however many, and none that came later", async () => {
    const folder = temporaryFolder();
    const keystead = await initKeystead(fileStore(folder));
    for (let first = 0; first < 250; first += 10) await recordSome(keystead, first);
    const { removed, records } = await keystead.audit.archive({ until: later, file: join(folder, "archive.jsonl") });
    expect(records).toBeGreaterThan(250);
    expect(removed).toBe(records);
    expect(await keystead.audit.verify()).toMatchObject({ findings: [], archived: records, records: 1 });
    await keystead.close();
  });

  it("removes nothing when the records don't verify, when the file is there, and when nothing is old enough", async () => {
    const { folder, keystead } = await reopened();
    const file = join(folder, "archive.jsonl");
    const { records } = await keystead.audit.verify();
    expect(await codeOf(keystead.audit.archive({ until: new Date(0), file }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(keystead.audit.archive({ until: new Date("never"), file }))).toBe("INVALID_ARGUMENT");
    await writeFile(file, "mine");
    expect(await codeOf(keystead.audit.archive({ until: later, file }))).toBe("CONFLICT");
    expect(await readFile(file, "utf8")).toBe("mine");
    const after = await keystead.audit.verify();
    expect(after.records).toBeGreaterThanOrEqual(records);
    expect(after.archived).toBe(0);
    await keystead.close();
  });

  const ofFirst = "writer = (select writer from audit_lines order by rowid limit 1)";
  it.each([
    ["altered", "update audit_lines set line = cast(replace(cast(line as text), 'tests.count', 'tests.other') as blob) where sequence = 3"],
    ["cut from the end of a chain", `delete from audit_lines where ${ofFirst} and sequence >= 3`],
    ["gone with their chain", `delete from audit_lines where ${ofFirst}`],
  ])("removes nothing when records were %s, and an export names the first of them", async (_, tampering) => {
    const { folder, keystead } = await reopened();
    await keystead.audit.flush();
    const database = new DatabaseSync(join(folder, "keystead.db"));
    database.exec(tampering);
    database.close();
    const { findings } = await keystead.audit.verify();
    expect(findings).not.toEqual([]);
    expect(await codeOf(keystead.audit.archive({ until: later, file: join(folder, "other.jsonl") }))).toBe("AUDIT_TAMPERED");
    expect((await keystead.audit.verify()).findings).toEqual(findings);
    const chunks: Buffer[] = [];
    await keystead.audit.export({}, (chunk) => {
      chunks.push(chunk);
    });
    const [{ writer, sequence } = {}] = findings;
    expect((await verifyAuditExport(Readable.from(chunks))).findings[0]).toMatchObject({ kind: "record", writer, sequence });
    await keystead.close();
  });

  it("removes nothing when another archive ended while it was made", async () => {
    const { folder, keystead } = await reopened();
    const other = await openTestKeystead(fileStore(folder));
    const [earlier, last] = [join(folder, "earlier.jsonl"), join(folder, "last.jsonl")];
    // As late as may be: all is written, and nothing removed yet.
    const { trail } = keystead.audit;
    const record = vi.spyOn(trail, "record").mockImplementationOnce(async (event) => {
      await recordSome(other, 10);
      await other.audit.archive({ until: later, file: last });
      await trail.record(event);
    });
    const error: unknown = await keystead.audit.archive({ until: later, file: earlier }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "CONFLICT", message: expect.stringContaining(`delete ${earlier}`) as string });
    record.mockRestore();
    expect((await keystead.audit.verify()).findings).toEqual([]);
    expect(await keystead.audit.show({ action: "audit.archive", failed: true })).toMatchObject([
      { outcome: "failed", code: "CONFLICT", detail: { file: earlier } },
    ]);
    // The next one goes on from the one that removed records.
    await keystead.audit.archive({ until: later, file: join(folder, "next.jsonl") });
    expect((await keystead.audit.verify()).findings).toEqual([]);
    await Promise.all([keystead.close(), other.close()]);
  });

  it("is no alarm for a verification that began before it", async () => {
    const { folder, keystead } = await reopened();
    const other = await openTestKeystead(fileStore(folder));
    const { trail } = keystead.audit;
    if (!(trail instanceof FileTrail)) throw new Error("a store in a file has a trail in one");
    let removed = 0;
    vi.spyOn(trail, "flush").mockImplementationOnce(async () => {
      ({ removed } = await other.audit.archive({ until: later, file: join(folder, "archive.jsonl") }));
    });
    expect(await keystead.audit.verify()).toMatchObject({ findings: [], archived: removed });
    expect(removed).toBeGreaterThan(0);
    await Promise.all([keystead.close(), other.close()]);
  });

  it("does not hide that records behind the archive were removed, nor that the archive's mark was", async () => {
    const folder = temporaryFolder();
    const options = fileStore(folder);
    const keystead = await initKeystead(options);
    await recordSome(keystead, 0);
    await keystead.audit.archive({ until: later, file: join(folder, "archive.jsonl") });
    await recordSome(keystead, 10);
    await keystead.audit.flush();
    const { records } = await keystead.audit.verify();
    const database = new DatabaseSync(join(folder, "keystead.db"));
    const { sequence } = database.prepare("select min(sequence) as sequence from audit_lines").get() ?? {};
    database.exec(`delete from audit_lines where sequence = ${String(sequence)}`);
    const { findings } = await keystead.audit.verify();
    expect(findings).toMatchObject([{ kind: "record", sequence: Number(sequence) }]);
    expect(records).toBeGreaterThan(1);
    database.exec("delete from settings where name = 'auditArchive'");
    database.close();
    expect((await keystead.doctor.examine()).filter(({ status }) => status === "failed").length).toBeGreaterThan(0);
    await keystead.close();
  });
});
