import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { AuditLineRow, AuditStore, AuditTables } from "../../src/audit/audit-store.ts";
import { bytesOf as decoded, formatLine, parseLine, writerLine } from "../../src/audit/export/lines.ts";
import { verifyAuditExport, type ExportReport, type VerifyExportOptions } from "../../src/audit/export/verify-export.ts";
import { type ExportParts, type ExportSummary, writeExport } from "../../src/audit/export/write-export.ts";
import { parseCheckpoint } from "../../src/audit/checkpoint.ts";
import { type ChainPosition, extendChain, startChain } from "../../src/audit/hash-chain.ts";
import { openAction } from "../../src/audit/journal.ts";
import { parseRecord } from "../../src/audit/record.ts";
import type { Signer } from "../../src/audit/signature.ts";
import type { AuditFinding } from "../../src/audit/verify.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { randomUuid } from "../../src/crypto/uuid.ts";
import { newSigner, storeId } from "./support/audit-store.ts";
import { newPlace, numbered, type TrailPlace } from "./support/trail.ts";

let place: TrailPlace;

async function exportLines(changes: Partial<ExportParts> = {}, from = place): Promise<{ lines: Buffer[]; summary: ExportSummary }> {
  const chunks: Buffer[] = [];
  const parts = {
    store: from.store,
    storeId,
    signer: from.signer,
    signers: signersOf(from.signer),
    takenAt: 0,
    closing: await newest(from),
  };
  const summary = await writeExport({ ...parts, ...changes }, (chunk) => {
    chunks.push(chunk);
  });
  return { lines: linesOf(Buffer.concat(chunks)), summary };
}

function signersOf(signer: Signer): { signer: string; publicKey: Buffer }[] {
  return [{ signer: signer.keyId, publicKey: signer.publicKeyDer }];
}

async function newest(from: TrailPlace): Promise<string> {
  return (await from.verify()).newest ?? "";
}

function linesOf(bytes: Buffer): Buffer[] {
  return bytes
    .toString("latin1")
    .split("\n")
    .slice(0, -1)
    .map((line) => Buffer.from(line, "latin1"));
}

async function* bytesOf(lines: readonly Buffer[], chunk = 1000): AsyncGenerator<Buffer> {
  const bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")]));
  for (let offset = 0; offset < bytes.length; offset += chunk) yield bytes.subarray(offset, offset + chunk);
}

function verifyLines(lines: readonly Buffer[], options?: VerifyExportOptions): Promise<ExportReport> {
  return verifyAuditExport(bytesOf(lines), options);
}

/** Writer and number of the record in a line; undefined for other lines. */
function recordAt(lines: readonly Buffer[], index: number): { writer: string; sequence: number } | undefined {
  const record = parseRecord(lines[index] ?? Buffer.alloc(0));
  return record === undefined ? undefined : { writer: record.writer, sequence: record.sequence };
}

function lineAt(lines: readonly Buffer[], index: number): Buffer {
  const line = lines[index];
  if (line === undefined) throw new RangeError("no such line");
  return line;
}

/** Several writers, journals and checkpoints, as a plan says: rounds of records for each process in turn. */
async function makeTrail(plan: readonly (readonly number[])[]): Promise<TrailPlace> {
  const made = await newPlace();
  for (const rounds of plan) {
    const trail = await made.open({ limits: { records: 6, bytes: 1_000_000 } });
    for (const records of rounds) {
      for (let index = 0; index < records; index++) await trail.record(numbered(index));
      made.clock.advance(1);
      await trail.flush();
    }
    await trail.close();
  }
  return made;
}

/** A store from which somebody took lines. */
function without(store: AuditStore, isGone: (row: AuditLineRow) => boolean): AuditStore {
  return {
    read: (work) =>
      store.read((tables) => {
        const { auditLines } = tables;
        const list: AuditTables["auditLines"]["list"] = async (where, page) => {
          const rows = await auditLines.list(where, page);
          return rows.filter((row) => !isGone(row));
        };
        return work({ ...tables, auditLines: { ...auditLines, list } });
      }),
    transaction: (work) => store.transaction(work),
    generation: () => store.generation(),
  };
}

beforeAll(async () => {
  place = await makeTrail([[3, 2], [1, 4, 4], [2]]);
});

describe("an export", () => {
  it("holds every covered record as it was written, and verifies against pin and witness", async () => {
    const { lines, summary } = await exportLines();
    const rows = await place.store.read((tables) => tables.auditLines.list());
    expect(summary).toMatchObject({ records: rows.length, closing: await newest(place) });
    const records = lines.filter((line) => parseRecord(line) !== undefined);
    expect(records.map(String)).toEqual(rows.map(({ line }) => Buffer.from(line).toString("utf8")));
    const witness = { store: storeId, generation: await place.store.generation(), checkpoint: await newest(place) };
    expect(await verifyLines(lines, { pinnedKeys: [place.signer.publicKeyDer], witness })).toMatchObject({
      findings: [],
      store: storeId,
      writers: summary.writers,
      records: rows.length,
      checkpoints: summary.checkpoints,
      closing: summary.closing,
    });
    for (const chunk of [1, 7, 1_000_000]) expect((await verifyAuditExport(bytesOf(lines, chunk))).findings).toEqual([]);
  });

  it("is found altered, dropped, doubled, swapped, moved or cut, whatever the trail and wherever, and a record is named", async () => {
    const plans = fc.array(fc.array(fc.nat(4), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        plans,
        fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(1_000_000)), { minLength: 30, maxLength: 30 }),
        async (plan, changes) => {
          const { lines } = await exportLines({}, await makeTrail(plan));
          expect((await verifyLines(lines)).findings).toEqual([]);
          for (const [where, other, bit] of changes) {
            const at = where % lines.length;
            const to = other % lines.length;
            await expectNamed(lines, at, lines.with(at, flip(lineAt(lines, at), bit)));
            await expectNamed(lines, at, lines.toSpliced(at, 1));
            await expectFound(lines.toSpliced(at, 0, lineAt(lines, to)));
            await expectFound(lines.slice(0, at));
            if (!lineAt(lines, at).equals(lineAt(lines, to)))
              await expectFound(lines.with(at, lineAt(lines, to)).with(to, lineAt(lines, at)));
            if (at !== to) await expectFound(lines.toSpliced(at, 1).toSpliced(to, 0, lineAt(lines, at)));
          }
        },
      ),
      { numRuns: 12 },
    );
  });

  it("names the first record that is gone when an export of all is cut", async () => {
    const { lines } = await exportLines();
    for (const [index] of lines.entries()) {
      const record = recordAt(lines, index);
      if (record === undefined || record.sequence === 1) continue;
      expect((await verifyLines(lines.slice(0, index))).findings[0]).toMatchObject({ kind: "record", ...record });
    }
  });

  it("names the first record that is gone though the lines around it were changed to fit", async () => {
    const { lines } = await exportLines();
    for (const [index] of lines.entries()) {
      const record = recordAt(lines, index);
      // Cuts the end of a chain that the next writer follows.
      if (record === undefined || recordAt(lines, index + 1) !== undefined) continue;
      expect((await verifyLines(lines.toSpliced(index, 1))).findings).toMatchObject([{ kind: "record", ...record }]);
    }
  });

  it("finds an export that was cut off in the middle of its last line", async () => {
    const { lines } = await exportLines();
    const bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")]));
    for (const length of [bytes.length - 1, bytes.length - 2, 1]) {
      const { findings } = await verifyAuditExport(one(bytes.subarray(0, length)));
      expect(findings).not.toEqual([]);
    }
    await expect(verifyAuditExport(one(Buffer.alloc(0)))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("blames no record that never was when the cut is within a line", async () => {
    const { lines } = await exportLines();
    for (const [index, line] of lines.entries()) {
      if (index === 0) continue;
      const whole = Buffer.concat(lines.slice(0, index).flatMap((before) => [before, Buffer.from("\n")]));
      for (const length of [1, line.length >> 1, line.length - 1]) {
        const { findings } = await verifyAuditExport(one(Buffer.concat([whole, line.subarray(0, length)])));
        const cutWhole = (await verifyAuditExport(one(whole))).findings;
        // The same as without the line that was cut, and that there is one.
        const cut = { kind: "export", problem: `line ${String(index + 1)} is cut off` };
        expect(findings.filter(({ problem }) => problem !== cut.problem)).toEqual(cutWhole);
        expect(findings).toContainEqual(cut);
      }
    }
  });

  it("of an older state is found by the witness, and one by another key by the pin", async () => {
    const made = await makeTrail([[2], [2]]);
    const { lines: older } = await exportLines({}, made);
    const trail = await made.open();
    await trail.record(numbered(9));
    await trail.close();
    const witness = { store: storeId, generation: await made.store.generation(), checkpoint: await newest(made) };
    expect((await verifyLines(older, { pinnedKeys: [made.signer.publicKeyDer] })).findings).toEqual([]);
    expect((await verifyLines(older, { witness })).findings).toMatchObject([{ kind: "witness" }]);
    const { findings } = await verifyLines(older, { pinnedKeys: [newSigner().publicKeyDer] });
    expect(findings).toContainEqual(expect.objectContaining({ kind: "checkpoint", problem: expect.stringContaining("pinned") as string }));
    // Somebody who has a key of his own signs the statement anew.
    const thief = newSigner(made.signer.keyId);
    const forged = await exportLines({ signer: thief, signers: signersOf(thief) }, made);
    expect((await verifyLines(forged.lines, { pinnedKeys: [made.signer.publicKeyDer] })).findings).not.toEqual([]);
    expect((await verifyLines(forged.lines)).findings).toContainEqual(
      expect.objectContaining({ problem: expect.stringContaining("does not verify") as string }),
    );
    expect((await verifyLines(older, { witness: { ...witness, store: "another" } })).findings).toMatchObject([{ kind: "witness" }]);
  });

  it("of a part of the time verifies, and names what was taken from it", async () => {
    const made = await newPlace();
    const trail = await made.open();
    const times: number[] = [];
    for (let index = 0; index < 12; index++) {
      made.clock.advance(1000);
      times.push(made.clock.now());
      await trail.record(numbered(index));
      if (index % 3 === 0) await trail.flush();
    }
    await trail.close();
    const [since = 0, until = 0] = times.slice(3).filter((_, index) => index === 0 || index === 5);
    const { lines, summary } = await exportLines({ since, until }, made);
    expect(summary).toMatchObject({ writers: 1, records: 5 });
    const report = await verifyLines(lines);
    expect(report.findings).toEqual([]);
    for (const [index] of lines.entries()) {
      const record = recordAt(lines, index);
      if (record !== undefined)
        expect((await verifyLines(lines.toSpliced(index, 1))).findings).toMatchObject([{ kind: "record", ...record }]);
      expect((await verifyLines(lines.with(index, flip(lineAt(lines, index), 77)))).findings).not.toEqual([]);
    }
    expect((await exportLines({ since: made.clock.now() + 1 }, made)).summary).toMatchObject({ writers: 0, records: 0 });
  });

  it("of a store that lost records names the first of them, whatever was taken and of whatever time it is", async () => {
    const { lines } = await exportLines();
    const records = lines.map((_, index) => recordAt(lines, index)).filter((record) => record !== undefined);
    for (const { writer, sequence } of records) {
      for (const last of [sequence, Infinity]) {
        const store = without(place.store, (row) => row.writer === writer && row.sequence >= sequence && row.sequence <= last);
        for (const range of [{}, { since: 0 }, { until: place.clock.now() + 1 }]) {
          const { lines: left } = await exportLines({ store, ...range });
          expect((await verifyLines(left)).findings[0], `${writer} ${String(sequence)}`).toMatchObject({
            kind: "record",
            writer,
            sequence,
          });
        }
      }
    }
  });

  it("is refused while nothing is covered", async () => {
    await expect(exportLines({ closing: "" }, await newPlace())).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
  });
});

describe("a record that never was, put into an export", () => {
  const plans = fc.array(fc.array(fc.nat(4), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 });

  it("is found and named wherever it stands", async () => {
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const { lines } = await exportLines({}, await makeTrail(plan));
        for (const place of placesIn(lines)) {
          const { writer, count } = place.before;
          const findings = await expectFound(lines.toSpliced(place.index, 0, madeRecord(place)));
          // What it puts out of its place may be what is named.
          expect(findings[0]).toMatchObject({ kind: "record", writer });
          expect([count + 1, count + 2]).toContain(findings[0]?.sequence);
        }
      }),
      // With many records between two checkpoints it is the chain that tells.
      { numRuns: 12, examples: [[[[12], [9]]]] },
    );
  });

  it("is found and named though all behind it was numbered and chained anew, by what checkpoints signed alone", async () => {
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const { lines } = await exportLines({}, await makeTrail(plan));
        for (const place of placesIn(lines)) {
          const { writer, count } = place.before;
          const forged = rechained(lines.toSpliced(place.index, 0, madeRecord(place)), place);
          const [named] = await expectFound(forged);
          const signed = attestedCounts(lines, writer).find((attested) => attested > count) ?? count + 1;
          expect(named).toMatchObject({ kind: "record", writer });
          expect(named?.sequence).toBeGreaterThan(count);
          expect(named?.sequence).toBeLessThanOrEqual(signed);
          if (place.isLast) continue;
          const byCheckpoint = {
            kind: "record",
            writer,
            sequence: signed,
            problem: expect.stringMatching(/^is not what checkpoint/) as string,
          };
          expect(named).toMatchObject(byCheckpoint);
          // Nobody who takes the signed statement away hides it.
          expect((await expectFound(forged.slice(0, -1)))[0]).toMatchObject(byCheckpoint);
        }
      }),
      { numRuns: 12 },
    );
  });

  it("is found and named as one of a writer that never was", async () => {
    const { lines } = await exportLines();
    const [like] = placesIn(lines);
    if (like === undefined) throw new RangeError("no records");
    for (let round = 0; round < 20; round++) {
      const start = startChain(randomUuid(systemRandom));
      const behind = lines.findIndex((bytes) => {
        const line = parseLine(bytes);
        return line?.type === "statement" || (line?.type === "writer" && line.writer > start.writer);
      });
      const made = madeRecord({ ...like, before: start });
      expect(parseRecord(made)).toMatchObject({ action: openAction, sequence: 1, writer: start.writer });
      const findings = await expectFound(lines.toSpliced(behind, 0, formatLine(writerLine(start)), made));
      expect(findings).toMatchObject([
        { kind: "record", writer: start.writer, sequence: 1, problem: "was inserted: its writer was not exported" },
      ]);
    }
  });
});

/** A place for one more record. */
interface Place {
  /** Of the line that would be behind it. */
  readonly index: number;
  /** Where the chain stands before it. */
  readonly before: ChainPosition;
  /** A record beside it. */
  readonly like: Buffer;
  /** Behind all records of its writer. */
  readonly isLast: boolean;
}

/** Before each record, and behind the last one of each writer. */
function placesIn(lines: readonly Buffer[]): Place[] {
  const places: Place[] = [];
  let before = startChain("");
  for (const [index, bytes] of lines.entries()) {
    const line = parseLine(bytes);
    if (line?.type === "writer") before = { writer: line.writer, count: line.count, head: Buffer.from(line.head, "hex") };
    if (recordAt(lines, index) === undefined) continue;
    places.push({ index, before, like: bytes, isLast: false });
    before = extendChain(before, bytes);
    if (recordAt(lines, index + 1) === undefined) places.push({ index: index + 1, before, like: bytes, isLast: true });
  }
  return places;
}

/** The line of a record with another place, as whoever knows the format writes it. */
function replaced(line: Buffer, { writer, count, head }: ChainPosition, changes: object = {}): Buffer {
  const record: unknown = JSON.parse(line.toString("utf8"));
  const made = Buffer.from(JSON.stringify({ ...Object(record), sequence: count + 1, previous: head.toString("hex"), writer, ...changes }));
  expect(parseRecord(made)).toMatchObject({ sequence: count + 1, writer });
  return made;
}

/** A new record that fits a place. */
function madeRecord({ before, like }: Place): Buffer {
  return replaced(like, before, { id: randomUuid(systemRandom) });
}

/** Lines into which a record was put, with all of its writer behind it numbered and chained anew. */
function rechained(lines: readonly Buffer[], { index, before }: Place): Buffer[] {
  const made = [...lines];
  let position = before;
  for (let at = index; recordAt(made, at) !== undefined; at++) {
    const line = replaced(lineAt(made, at), position);
    made[at] = line;
    position = extendChain(position, line);
  }
  return made;
}

/** The numbers of records of a writer behind which a checkpoint signed the chain, in order. */
function attestedCounts(lines: readonly Buffer[], writer: string): number[] {
  const counts = lines.flatMap((bytes) => {
    const line = parseLine(bytes);
    const positions = line?.type === "checkpoint" ? (parseCheckpoint(decoded(line.body))?.positions ?? []) : [];
    return positions.filter((position) => position.writer === writer).map(({ count }) => count);
  });
  return counts.sort((one, other) => one - other);
}

async function* one(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

function flip(bytes: Uint8Array, bit: number): Buffer {
  const flipped = Buffer.from(bytes);
  const index = (bit >> 3) % flipped.length;
  flipped.writeUInt8(flipped.readUInt8(index) ^ (1 << (bit & 7)), index);
  return flipped;
}

async function expectFound(lines: readonly Buffer[]): Promise<readonly AuditFinding[]> {
  if (lines.length === 0) return [];
  const { findings } = await verifyLines(lines);
  expect(findings).not.toEqual([]);
  return findings;
}

/** Finds the change; when it is in a record, that one is named first. */
async function expectNamed(lines: readonly Buffer[], index: number, changed: readonly Buffer[]): Promise<void> {
  const findings = await expectFound(changed);
  const record = recordAt(lines, index);
  if (record !== undefined) expect(findings[0]).toMatchObject({ kind: "record", ...record });
}
