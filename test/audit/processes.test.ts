import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parseRecord } from "../../src/audit/record.ts";
import { verifyAudit } from "../../src/audit/verify.ts";
import { systemClock } from "../../src/clock.ts";
import { openSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { createStore, sharedSigner, storeId } from "./support/audit-store.ts";
import { newDirectory } from "./support/directory.ts";
import { findKeys, newPlace, numbered, type TrailPlace } from "./support/trail.ts";

const appendingProcess = new URL("./support/appending-process.ts", import.meta.url);
const recordingProcess = new URL("./support/recording-process.ts", import.meta.url);

function startProgram(program: URL, ...arguments_: string[]): ChildProcess {
  const options = ["--disable-warning=ExperimentalWarning", fileURLToPath(program)];
  return spawn(process.execPath, [...options, ...arguments_], { stdio: ["ignore", "pipe", "inherit"] });
}

/** Kills the program once it has answered about `count` records; resolves with all numbers that it reported. */
async function killAfter(child: ChildProcess, count: number): Promise<number[]> {
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (output.split("\n").length > count) child.kill("SIGKILL");
  });
  await once(child, "close");
  expect(child.signalCode).toBe("SIGKILL");
  return output.split("\n").slice(0, -1).map(Number);
}

async function storedNumbers({ store }: TrailPlace): Promise<Set<unknown>> {
  const rows = await store.read((tables) => tables.auditLines.list());
  return new Set(rows.map(({ line }) => parseRecord(line)?.detail?.["number"]));
}

describe("a killed process", () => {
  it.each([1, 37, 400])("loses none of the records it answered (killed after about %i)", async (count) => {
    const place = await newPlace();
    const answered = await killAfter(startProgram(appendingProcess, place.directory, storeId), count);
    expect(answered.length).toBeGreaterThanOrEqual(count);
    const trail = await place.open({ host: hostname() });
    expect(trail.adopted).toMatchObject([{ problem: undefined }]);
    const stored = await storedNumbers(place);
    expect(answered.filter((number) => !stored.has(number))).toEqual([]);
    await trail.close();
    expect(await readdir(place.directory)).toEqual(["checkpoint.json"]);
    expect(await place.verify()).toMatchObject({ findings: [], writers: 2, uncovered: 0 });
  });

  it("and another leave two journals, and the next process ships both", async () => {
    const place = await newPlace();
    const both = [1, 2].map(() => killAfter(startProgram(appendingProcess, place.directory, storeId), 50));
    await Promise.all(both);
    const trail = await place.open({ host: hostname() });
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
    const children = [1, 2].map(() => startProgram(recordingProcess, database, directory, "100"));
    await Promise.all(children.map((child) => once(child, "close")));
    expect(children.map((child) => child.exitCode)).toEqual([0, 0]);
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
      const small = { ...place, directory: disk };
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
      const stored = await storedNumbers(small);
      expect([...answered, answered.length].filter((number) => !stored.has(number))).toEqual([]);
      expect([stored.has(-1), stored.has(-2)]).toEqual([false, false]);
      expect(await place.verify({ directory: disk })).toMatchObject({ findings: [], writers: 2, uncovered: 0 });
      expect(await readdir(disk)).toEqual(["checkpoint.json"]);
    } finally {
      execFileSync("umount", [disk]);
    }
  });
});
