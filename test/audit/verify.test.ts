import { readFile, writeFile } from "node:fs/promises";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { AuditLineRow, CheckpointRow } from "../../src/audit/audit-store.ts";
import { embeddedPrincipal } from "../../src/access/principal.ts";
import { checkpointHash, encodeCheckpoint, parseCheckpoint } from "../../src/audit/checkpoint.ts";
import { extendChain, startChain } from "../../src/audit/hash-chain.ts";
import { journalPath } from "../../src/audit/journal-file.ts";
import { encodeRecord, parseRecord } from "../../src/audit/record.ts";
import { signVerified } from "../../src/audit/signature.ts";
import { type AuditFinding, verifyAudit } from "../../src/audit/verify.ts";
import { newSigner, newStore, storeId } from "./support/audit-store.ts";
import { type AuditRows, readRows, storeOf } from "./support/rows.ts";
import { findKeys, leaveJournal, newPlace, numbered, type TrailPlace } from "./support/trail.ts";

let place: TrailPlace;
let rows: AuditRows;
let writers: string[];

/** Three writers, eight checkpoints, everything covered. */
beforeAll(async () => {
  place = await newPlace();
  for (const rounds of [1, 2, 2]) {
    const trail = await place.open();
    for (let round = 0; round < rounds; round++) {
      for (let index = 0; index < 3; index++) await trail.record(numbered(index));
      await trail.flush();
    }
    await trail.close();
  }
  rows = await readRows(place.store);
  writers = [...new Set(rows.lines.map((row) => row.writer))];
});

async function verifyRows(changed: Partial<AuditRows>): Promise<readonly AuditFinding[]> {
  const store = storeOf({ ...rows, ...changed }, await place.store.generation());
  const { findings } = await verifyAudit({ store, storeId, findPublicKey: findKeys(place.signer) });
  return findings;
}

function lineAt(index: number): AuditLineRow {
  const row = rows.lines[index];
  if (row === undefined) throw new RangeError("no such line");
  return row;
}

function checkpointAt(index: number): CheckpointRow {
  const row = rows.checkpoints[index];
  if (row === undefined) throw new RangeError("no such checkpoint");
  return row;
}

function chainOf(writer: string): AuditLineRow[] {
  return rows.lines.filter((row) => row.writer === writer);
}

/** Puts the rows of one writer in the place of what it has. */
function withChain(writer: string, chain: readonly AuditLineRow[]): AuditLineRow[] {
  return [...rows.lines.filter((row) => row.writer !== writer), ...chain.map((row, index) => ({ ...row, writer, sequence: index + 1 }))];
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const flipped = Buffer.from(bytes);
  const index = (bit >> 3) % flipped.length;
  flipped.writeUInt8(flipped.readUInt8(index) ^ (1 << (bit & 7)), index);
  return flipped;
}

/** Writes a chain anew from the record at `index` on, as somebody would who knows the format but has no key. */
function rewrite(chain: readonly AuditLineRow[], index: number, more: readonly AuditLineRow[] = []): AuditLineRow[] {
  let position = startChain(chain[0]?.writer ?? "");
  return [...chain, ...more].map((row, current) => {
    const record = parseRecord(row.line);
    if (record === undefined) throw new Error("not a record");
    const { store, writer, process: pid, host, time, id, action, outcome } = record;
    const at = { sequence: current + 1, previous: position.head.toString("hex"), time: Date.parse(time), id };
    const event = { action, outcome, principal: embeddedPrincipal, ...(current === index ? { reason: "rewritten" } : {}) };
    const line = current < index ? row.line : encodeRecord({ store, writer, process: pid, host }, at, event);
    position = extendChain(position, line);
    return { ...row, sequence: current + 1, line };
  });
}

/** Any line by its index. */
const anyLine = fc.nat().map((index) => index % rows.lines.length);
const anyWriter = fc.nat().map((index) => writers[index % writers.length] ?? "");

describe("verifyAudit on records", () => {
  it("finds nothing in what was not touched, and says what it looked at", async () => {
    expect(await place.verify()).toMatchObject({ findings: [], writers: 3, checkpoints: 8, unshipped: 0, uncovered: 0, torn: 0 });
    expect((await place.verify()).records).toBe(rows.lines.length);
    expect(await verifyRows({})).toEqual([]);
  });

  it("names a record that was altered, wherever", async () => {
    await fc.assert(
      fc.asyncProperty(anyLine, fc.nat(1_000_000), async (index, bit) => {
        const target = lineAt(index);
        const lines = rows.lines.with(index, { ...target, line: flip(target.line, bit) });
        expect(await verifyRows({ lines })).toMatchObject([{ kind: "record", writer: target.writer, sequence: target.sequence }]);
      }),
      { numRuns: 200 },
    );
  });

  it("names a record that is gone", async () => {
    await fc.assert(
      fc.asyncProperty(anyLine, async (index) => {
        const { writer, sequence } = lineAt(index);
        expect(await verifyRows({ lines: rows.lines.toSpliced(index, 1) })).toMatchObject([{ kind: "record", writer, sequence }]);
      }),
      { numRuns: 50 },
    );
  });

  it("names a record that is gone though the others moved up", async () => {
    await fc.assert(
      fc.asyncProperty(anyLine, async (index) => {
        const { writer, sequence } = lineAt(index);
        const lines = withChain(writer, chainOf(writer).toSpliced(sequence - 1, 1));
        expect(await verifyRows({ lines })).toMatchObject([{ kind: "record", writer, sequence }]);
      }),
      { numRuns: 50 },
    );
  });

  it("names records that changed places, within a writer and between two", async () => {
    await fc.assert(
      fc.asyncProperty(anyLine, anyLine, async (first, second) => {
        fc.pre(first !== second);
        const [a, b] = [lineAt(first), lineAt(second)];
        const lines = rows.lines.with(first, { ...a, line: b.line }).with(second, { ...b, line: a.line });
        const findings = await verifyRows({ lines });
        const expected =
          a.writer === b.writer
            ? [Math.min(a.sequence, b.sequence)]
            : [a, b].sort((x, y) => (x.writer < y.writer ? -1 : 1)).map((row) => row.sequence);
        expect(findings.map((finding) => finding.sequence)).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  it("finds a record that was put between others", async () => {
    await fc.assert(
      fc.asyncProperty(anyLine, anyLine, async (where, what) => {
        const { writer, sequence } = lineAt(where);
        const lines = withChain(writer, chainOf(writer).toSpliced(sequence - 1, 0, lineAt(what)));
        const [finding, ...more] = await verifyRows({ lines });
        expect(more).toEqual([]);
        expect(finding).toMatchObject({ kind: "record", writer });
        // A copy of its neighbour can't be told from it: then the one behind is named.
        expect([sequence, sequence + 1]).toContain(finding?.sequence);
      }),
      { numRuns: 50 },
    );
  });

  it("finds records that were cut off", async () => {
    await fc.assert(
      fc.asyncProperty(anyWriter, fc.nat(), async (writer, count) => {
        const chain = chainOf(writer);
        const left = count % chain.length;
        expect(await verifyRows({ lines: withChain(writer, chain.slice(0, left)) })).toMatchObject([
          { kind: "record", writer, sequence: left + 1 },
        ]);
      }),
      { numRuns: 50 },
    );
  });

  it("finds a chain that was written anew without the signer's key", async () => {
    await fc.assert(
      fc.asyncProperty(anyLine, async (index) => {
        const { writer, sequence } = lineAt(index);
        const [finding, ...more] = await verifyRows({ lines: withChain(writer, rewrite(chainOf(writer), sequence - 1)) });
        expect(more).toEqual([]);
        expect(finding).toMatchObject({ kind: "record", writer });
        // Only checkpoints tell: the first one behind the rewritten record names the last one that it covers.
        expect(finding?.sequence).toBeGreaterThanOrEqual(sequence);
        expect(finding?.problem).toMatch(/checkpoint|begins/);
      }),
      { numRuns: 50 },
    );
  });

  it("finds records that were appended to a chain that has ended", async () => {
    await fc.assert(
      fc.asyncProperty(anyWriter, async (writer) => {
        const chain = chainOf(writer);
        const forged = rewrite(chain, chain.length, chain.slice(1, 2));
        expect(await verifyRows({ lines: withChain(writer, forged) })).toMatchObject([
          { kind: "record", writer, sequence: chain.length + 1 },
        ]);
      }),
      { numRuns: 50 },
    );
  });

  it("finds numbers that no chain has", async () => {
    for (const sequence of [0, -1]) {
      const lines = [...rows.lines, { ...lineAt(0), sequence }];
      expect(await verifyRows({ lines })).toMatchObject([{ kind: "record", writer: lineAt(0).writer, sequence }]);
    }
    const lines = [...rows.lines, { ...lineAt(0), writer: "stray", sequence: 5 }];
    expect(await verifyRows({ lines })).toMatchObject([{ kind: "record", writer: "stray", sequence: 1 }]);
  });

  it("finds a chain of records of another store", async () => {
    const { findings } = await verifyAudit({ store: storeOf(rows, 1), storeId: "another", findPublicKey: findKeys(place.signer) });
    expect(findings.map((finding) => [finding.kind, finding.sequence])).toEqual(writers.map(() => ["record", 1]));
  });
});

describe("verifyAudit on checkpoints", () => {
  const fields = ["hash", "previous", "generation", "body", "signature", "signer"] as const;
  const anyCheckpoint = fc.nat().map((index) => index % rows.checkpoints.length);

  it("names one that was altered, in whichever column", async () => {
    await fc.assert(
      fc.asyncProperty(anyCheckpoint, fc.constantFrom(...fields), fc.nat(100_000), async (index, field, bit) => {
        const row = checkpointAt(index);
        const value = row[field];
        const changed = typeof value === "number" ? value + 1 + bit : typeof value === "string" ? `${value}x` : flip(value, bit);
        const altered = { ...row, [field]: changed };
        const findings = await verifyRows({ checkpoints: rows.checkpoints.with(index, altered) });
        const [finding] = findings.filter(({ kind }) => kind === "checkpoint");
        expect(finding?.checkpoint).toBe(altered.hash);
      }),
      { numRuns: 100 },
    );
  });

  it("names one that is gone", async () => {
    await fc.assert(
      fc.asyncProperty(anyCheckpoint, async (index) => {
        const hash = checkpointAt(index).hash;
        const newest = (await place.verify()).newest === hash;
        const checkpoints = rows.checkpoints.toSpliced(index, 1);
        const findings = await verifyRows({ checkpoints });
        if (!newest) expect(findings).toMatchObject([{ kind: "checkpoint", checkpoint: hash }]);
        else
          expect((await place.verify({ store: storeOf({ ...rows, checkpoints }, 1_000) })).findings.map(({ kind }) => kind)).toContain(
            "witness",
          );
      }),
      { numRuns: 50 },
    );
  });

  it("finds the newest ones and their records cut off, by the witness", async () => {
    const order = [checkpointAt(rows.checkpoints.findIndex((row) => row.previous === ""))];
    for (let next = order[0]; next !== undefined; next = rows.checkpoints.find((row) => row.previous === order.at(-1)?.hash)) {
      if (next !== order[0]) order.push(next);
    }
    expect(order).toHaveLength(8);
    for (let left = 0; left < order.length; left++) {
      const checkpoints = order.slice(0, left);
      const covered = new Map(
        checkpoints.flatMap(({ body }) => parseCheckpoint(body)?.positions ?? []).map(({ writer, count }) => [writer, count]),
      );
      const lines = rows.lines.filter((row) => row.sequence <= (covered.get(row.writer) ?? 0));
      expect((await place.verify({ store: storeOf({ lines, checkpoints }, 1000) })).findings).toMatchObject([{ kind: "witness" }]);
    }
  });

  it("finds two that changed places", async () => {
    await fc.assert(
      fc.asyncProperty(anyCheckpoint, anyCheckpoint, async (first, second) => {
        fc.pre(first !== second);
        const [a, b] = [checkpointAt(first), checkpointAt(second)];
        const checkpoints = rows.checkpoints.with(first, { ...b, hash: a.hash }).with(second, { ...a, hash: b.hash });
        const named = (await verifyRows({ checkpoints })).map(({ checkpoint }) => checkpoint);
        expect(named).toEqual(expect.arrayContaining([a.hash, b.hash]));
      }),
      { numRuns: 50 },
    );
  });

  it("finds one that somebody else signed, also under the signer's name", async () => {
    const stranger = newSigner(place.signer.keyId);
    const known = newSigner("keystead/audit:2-bcdefg");
    const body = encodeCheckpoint({ previous: (await place.verify()).newest ?? "", generation: 1, positions: [] });
    for (const signer of [stranger, known, newSigner("nobody")]) {
      const hash = checkpointHash(body);
      const row = {
        hash,
        previous: parseCheckpoint(body)?.previous ?? "",
        takenAt: 0,
        generation: 1,
        body,
        signature: signVerified(signer, body),
        signer: signer.keyId,
      };
      const store = storeOf({ ...rows, checkpoints: [...rows.checkpoints, row] }, 1_000);
      const findPublicKey = findKeys(place.signer, known);
      const open = await verifyAudit({ store, storeId, findPublicKey });
      const pinned = await verifyAudit({ store, storeId, findPublicKey, pinnedKeys: [place.signer.publicKeyDer] });
      expect(pinned.findings).toMatchObject([{ kind: "checkpoint", checkpoint: hash }]);
      expect(open.findings.length).toBe(signer === known ? 0 : 1);
    }
  });

  it("finds a fork, and two that contradict each other", async () => {
    const [first] = rows.checkpoints.filter((row) => row.previous === "");
    const position = first === undefined ? undefined : parseCheckpoint(first.body)?.positions[0];
    if (position === undefined) throw new Error("the first checkpoint lists a writer");
    const body = encodeCheckpoint({ previous: "", generation: 0, positions: [{ ...position, head: Buffer.alloc(32) }] });
    const fork = {
      hash: checkpointHash(body),
      previous: "",
      takenAt: 0,
      generation: 0,
      body,
      signature: signVerified(place.signer, body),
      signer: place.signer.keyId,
    };
    const problems = (await verifyRows({ checkpoints: [...rows.checkpoints, fork] })).map(({ problem }) => problem);
    expect(problems).toEqual(
      expect.arrayContaining([expect.stringContaining("follows the same"), expect.stringContaining("says something else")]),
    );
  });
});

describe("verifyAudit beside running processes", () => {
  it("takes what is only in journals as good, and counts it", async () => {
    const live = await newPlace();
    const trail = await live.open();
    for (let index = 0; index < 3; index++) await trail.record(numbered(index));
    expect(await live.verify()).toMatchObject({ findings: [], records: 0, unshipped: 4, uncovered: 4 });
    await trail.flush();
    await trail.record(numbered(3));
    expect(await live.verify()).toMatchObject({ findings: [], records: 4, unshipped: 1, uncovered: 1 });
    await trail.close();
  });

  it("names what differs between a journal and the store, and what only the store has", async () => {
    const live = await newPlace();
    const { writer, path } = await leaveJournal(live.directory, 5);
    const lines = (await readFile(path, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line, index) => ({ writer, sequence: index + 1, line: Buffer.from(line) }));
    const verifyLines = async (changed: AuditLineRow[]): Promise<readonly AuditFinding[]> =>
      (await live.verify({ store: storeOf({ lines: changed, checkpoints: [] }, 1) })).findings;
    expect(await verifyLines(lines)).toEqual([]);
    expect(await verifyLines(rewrite(lines, 3))).toMatchObject([{ kind: "record", writer, sequence: 4 }]);
    expect(await verifyLines(rewrite(lines, 6, lines.slice(1, 2)))).toMatchObject([
      { kind: "record", writer, sequence: 7, problem: expect.stringContaining("neither") as string },
    ]);
    expect(await verifyLines(lines.toSpliced(2, 1))).toMatchObject([{ kind: "record", writer, sequence: 3 }]);
  });

  it("finds the records of a process that never was", async () => {
    const live = await newPlace();
    const elsewhere = await newPlace();
    const { writer, path } = await leaveJournal(elsewhere.directory, 2);
    const lines = (await readFile(path, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line, index) => ({ writer, sequence: index + 1, line: Buffer.from(line) }));
    const store = storeOf({ lines, checkpoints: [] }, 1);
    expect((await live.verify({ store })).findings).toMatchObject([{ kind: "record", writer, sequence: 1 }]);
    expect((await verifyAudit({ store, storeId, findPublicKey: () => undefined })).uncovered).toBe(3);
  });

  it("names an altered line in a journal that is not shipped yet", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 5 }), async (sequence) => {
        const live = await newPlace();
        const { writer, path } = await leaveJournal(live.directory, 5);
        const lines = (await readFile(path, "utf8")).split("\n");
        await writeFile(path, lines.with(sequence - 1, lines[sequence - 1]?.replace('"allowed"', '"denied"') ?? "").join("\n"));
        expect((await live.verify()).findings).toMatchObject([{ kind: "record", writer, sequence }]);
      }),
      { numRuns: 8 },
    );
  });

  it("trusts a checkpoint more than the record behind it", async () => {
    const live = await newPlace();
    const trail = await live.open();
    await trail.record(numbered(1));
    await trail.flush();
    await trail.record(numbered(2));
    const writer = (await live.store.read((tables) => tables.auditLines.list()))[0]?.writer ?? "";
    const path = journalPath(live.directory, writer);
    const [one, two, three = ""] = (await readFile(path, "utf8")).split("\n");
    const altered = three.replace(/"previous":"[0-9a-f]{64}"/, `"previous":"${"0".repeat(64)}"`);
    await writeFile(path, [one, two, altered, ""].join("\n"));
    expect((await live.verify()).findings).toMatchObject([{ kind: "record", writer, sequence: 3 }]);
    await trail.close();
  });

  it("names a journal that does not begin with a record", async () => {
    const live = await newPlace();
    const writer = "0b1f7a4e-8c52-4d0a-9a53-2f4d5e6f7081";
    await writeFile(journalPath(live.directory, writer), "{}\n");
    expect((await live.verify()).findings).toMatchObject([{ kind: "journal", writer }]);
  });

  it("does not cry wolf while processes write, ship and end", async () => {
    const live = await newPlace();
    const state = { running: true };
    const work = async (): Promise<void> => {
      for (let round = 0; round < 4; round++) {
        const trail = await live.open();
        for (let index = 0; index < 5; index++) {
          await trail.record(numbered(index));
          await trail.flush();
        }
        await trail.close();
      }
    };
    const finished = Promise.all([work(), work()]).then(() => {
      state.running = false;
    });
    let verified = 0;
    while (state.running) {
      expect((await live.verify()).findings).toEqual([]);
      verified++;
    }
    await finished;
    expect(verified).toBeGreaterThan(3);
    expect(await live.verify()).toMatchObject({ findings: [], writers: 8, uncovered: 0 });
  });

  it("refuses a pinned key that is none", async () => {
    const options = { store: await newStore(), storeId, findPublicKey: () => undefined, pinnedKeys: [Buffer.from("no key")] };
    await expect(verifyAudit(options)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("works on an empty store", async () => {
    const report = await verifyAudit({ store: await newStore(), storeId, findPublicKey: () => undefined });
    expect(report).toEqual({
      findings: [],
      archived: 0,
      writers: 0,
      records: 0,
      checkpoints: 0,
      unshipped: 0,
      uncovered: 0,
      torn: 0,
      newest: undefined,
    });
  });
});
