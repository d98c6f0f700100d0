import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { verifyAudit } from "../../src/audit/verify.ts";
import { systemClock } from "../../src/clock.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { startChild } from "../support/child.ts";
import { createStore, sharedSigner, storeId } from "./support/audit-store.ts";
import { newDirectory } from "./support/directory.ts";
import { AnsweringProgram } from "./support/answering-program.ts";
import { findKeys, newPlace, numbered, storedNumbers } from "./support/trail.ts";

const appendingProcess = new URL("./support/appending-process.ts", import.meta.url);
const recordingProcess = new URL("./support/recording-process.ts", import.meta.url);

describe("a killed process", () => {
  it.each([1, 37, 400])("loses none of the records it answered (killed after about %i)", async (count) => {
    const place = await newPlace();
    const program = new AnsweringProgram(appendingProcess, [place.directory, storeId]);
    await program.answers(count);
    const answered = await program.kill();
    const trail = await place.open();
    expect(trail.adopted).toMatchObject([{ problem: undefined }]);
    const stored = new Set(await storedNumbers(place));
    expect(answered.filter((number) => !stored.has(number))).toEqual([]);
    await trail.close();
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, uncovered: 0 });
  });

  it("and another leave two journals, and the next process ships both", async () => {
    const place = await newPlace();
    const both = [1, 2].map(() => new AnsweringProgram(appendingProcess, [place.directory, storeId]));
    await Promise.all(both.map((program) => program.answers(50)));
    await Promise.all(both.map((program) => program.kill()));
    const trail = await place.open();
    expect(trail.adopted).toHaveLength(2);
    await trail.close();
    expect(await place.verify()).toMatchObject({ findings: [], writers: 3, uncovered: 0 });
  });
});

describe("two processes with one store and one directory", () => {
  it("keep two chains and one chain of checkpoints", async () => {
    const folder = await newDirectory();
    const directory = join(folder, "audit");
    const database = join(folder, "keystead.db");
    const store = await createStore(await openSqliteStore(database, { clock: systemClock, create: true }));
    const programs = [1, 2].map(() => startChild(recordingProcess, [database, directory, "100"]));
    await Promise.all(programs.map((program) => program.finish()));
    const report = await verifyAudit({ store, storeId, directory, findPublicKey: findKeys(sharedSigner()) });
    expect(report).toMatchObject({ findings: [], writers: 2, records: 204, unshipped: 0, uncovered: 0 });
    expect(report.checkpoints).toBeGreaterThanOrEqual(12);
    expect(await readdir(directory)).toEqual(["checkpoint.json"]);
    await store.close();
  });
});

/** Mounts a small file system in memory; false where this user may not. */
function mountSmall(directory: string): boolean {
  return spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", directory]).status === 0;
}

describe("a full disk", () => {
  it("refuses records until there is room again, and loses none that were answered", async ({ skip }) => {
    const place = await newPlace();
    const disk = join(place.directory, "disk");
    await mkdir(disk);
    skip(!mountSmall(disk), "only root may mount a small file system");
    try {
      const trail = await place.open({ directory: disk });
      await writeFile(join(disk, "filler"), Buffer.alloc(40_000));
      const answered: number[] = [];
      let refusal: unknown;
      for (let number = 0; refusal === undefined; number++) {
        await trail.record(numbered(number)).then(
          () => answered.push(number),
          (error: unknown) => (refusal = error),
        );
      }
      expect(refusal).toMatchObject({ code: "AUDIT_UNAVAILABLE", cause: { code: "ENOSPC" } });
      await expect(trail.record(numbered(-1))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
      place.clock.advance(1000);
      await expect(trail.record(numbered(-2))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
      await rm(join(disk, "filler"));
      place.clock.advance(1000);
      await trail.record(numbered(answered.length));
      await trail.close();
      const stored = new Set(await storedNumbers(place));
      expect([...answered, answered.length].filter((number) => !stored.has(number))).toEqual([]);
      expect([stored.has(-1), stored.has(-2)]).toEqual([false, false]);
      expect(await place.verify({ directory: disk })).toMatchObject({ findings: [], writers: 2, uncovered: 0 });
      expect(await readdir(disk)).toEqual(["checkpoint.json"]);
    } finally {
      execFileSync("umount", [disk]);
    }
  });
});
