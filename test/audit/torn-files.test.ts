import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ChainWriter } from "../../src/audit/chain-writer.ts";
import { formatLine, writerLine } from "../../src/audit/export/lines.ts";
import { verifyAuditFiles, type FilesVerification } from "../../src/audit/export/verify-files.ts";
import { type ChainPosition, extendChain, startChain } from "../../src/audit/hash-chain.ts";
import { openAction } from "../../src/audit/journal.ts";
import { parseRecord } from "../../src/audit/record.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { randomUuid } from "../../src/crypto/uuid.ts";
import { storeId } from "./support/audit-store.ts";
import { ManualClock } from "./support/manual-clock.ts";
import { numbered } from "./support/trail.ts";

/** A chain in memory: its records, and where it stands behind so many of them. */
interface TestChain {
  readonly lines: readonly Buffer[];
  readonly positions: readonly ChainPosition[];
}

async function makeChain(records: number): Promise<TestChain> {
  const writer = randomUuid(systemRandom);
  const groups: Buffer[] = [];
  const sink = {
    append: ({ bytes }: { readonly bytes: Buffer }) => {
      groups.push(Buffer.from(bytes));
      return Promise.resolve(undefined);
    },
  };
  const origin = { store: storeId, writer, process: 1, host: "one" };
  const chain = new ChainWriter({ origin, clock: new ManualClock(), random: systemRandom, sink });
  const first = chain.record({ ...numbered(0), action: openAction });
  await Promise.all([first, ...Array.from({ length: records - 1 }, (_, index) => chain.record(numbered(index + 1)))]);
  const lines = linesOf(Buffer.concat(groups));
  const positions = [startChain(writer)];
  for (const line of lines) positions.push(extendChain(positions.at(-1) ?? startChain(writer), line));
  return { lines, positions };
}

/** Lines, the last one also without a line feed. */
function linesOf(bytes: Buffer): Buffer[] {
  const lines = bytes.toString("latin1").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => Buffer.from(line, "latin1"));
}

function ended(lines: readonly Buffer[]): Buffer {
  return Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")]));
}

/** What a sink writes: a group of records, behind the line that names their writer. */
function write({ lines, positions }: TestChain, from: number, to: number): Buffer {
  const start = positions[from];
  if (start === undefined) throw new RangeError("no such record");
  return ended([formatLine(writerLine(start)), ...lines.slice(from, to)]);
}

/** As a file sink does: a new line is begun behind one that was torn. */
function behind(before: Buffer, data: Buffer): Buffer {
  return before.length === 0 || before.at(-1) === 0x0a ? data : Buffer.concat([Buffer.from("\n"), data]);
}

async function* bytesOf(file: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(file);
}

function verify(files: readonly Buffer[]): Promise<FilesVerification> {
  return verifyAuditFiles(files.map((file, index) => ({ name: `file ${String(index)}`, bytes: bytesOf(file) })));
}

/** How a write failed, and what came between it and the next. */
const failures = fc.record({
  records: fc.integer({ min: 2, max: 7 }),
  /** Where the group begins and ends. */
  from: fc.nat(6),
  length: fc.integer({ min: 1, max: 6 }),
  /** Of its bytes are written: at each attempt. */
  cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 3 }),
  isRotated: fc.boolean(),
  isShared: fc.boolean(),
});
type Failure = typeof failures extends fc.Arbitrary<infer T> ? T : never;

/** The files that such a failure leaves. */
async function leave({ records, from: begin, length, cuts, isRotated, isShared }: Failure) {
  const [chain, other] = [await makeChain(records), await makeChain(3)];
  const from = begin % records;
  const to = Math.min(records, from + length);
  const files: Buffer[] = [];
  let file = from === 0 ? Buffer.alloc(0) : write(chain, 0, from);
  let shared = 0;
  for (const cut of cuts) {
    const data = write(chain, from, to);
    file = Buffer.concat([file, behind(file, data.subarray(0, Math.floor(cut * data.length)))]);
    if (isShared && shared < 3) {
      file = Buffer.concat([file, behind(file, write(other, shared, shared + 1))]);
      shared++;
    }
    if (!isRotated) continue;
    files.push(file);
    file = Buffer.alloc(0);
  }
  file = Buffer.concat([file, behind(file, write(chain, from, records))]);
  files.push(file);
  return { files, records: records + shared };
}

/** The records that a reader of the files gets, by writer, each once. */
function recordsIn(files: readonly Buffer[]): Map<string, string[]> {
  const found = new Map<string, Set<string>>();
  for (const line of files.flatMap(linesOf)) {
    const writer = parseRecord(line)?.writer;
    if (writer !== undefined) found.set(writer, (found.get(writer) ?? new Set()).add(line.toString()));
  }
  return new Map([...found].map(([writer, lines]) => [writer, [...lines]]));
}

/** Whatever verifies has all records as they were, but for the last one of a chain, which no later one vouches for. */
async function expectFoundOrHarmless(files: readonly Buffer[], changed: readonly Buffer[]): Promise<boolean> {
  const { findings } = await verify(changed);
  if (findings.length > 0) return true;
  const found = recordsIn(changed);
  for (const [writer, lines] of recordsIn(files)) {
    const safe = lines.slice(0, -1);
    expect((found.get(writer) ?? []).slice(0, safe.length)).toEqual(safe);
    expect((found.get(writer) ?? []).length).toBeLessThanOrEqual(lines.length);
  }
  return false;
}

describe("what a full disk leaves in the files of a sink", () => {
  it("is no finding, wherever the write was cut, how often, and whoever wrote between", async () => {
    await fc.assert(
      fc.asyncProperty(failures, async (failure) => {
        const { files, records } = await leave(failure);
        expect(await verify(files)).toMatchObject({ findings: [], records });
      }),
      { numRuns: 300 },
    );
  });

  it("hides nothing that is altered, dropped, doubled, swapped or shortened in such files", async () => {
    await fc.assert(
      fc.asyncProperty(
        failures,
        fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { minLength: 10, maxLength: 10 }),
        async (failure, changes) => {
          const { files } = await leave(failure);
          for (const [where, other, bit] of changes) {
            const index = where % files.length;
            const lines = linesOf(files[index] ?? Buffer.alloc(0));
            if (lines.length === 0) continue;
            const [at, to] = [where % lines.length, other % lines.length];
            const [line, swapped] = [lines[at] ?? Buffer.alloc(0), lines[to] ?? Buffer.alloc(0)];
            for (const changed of [
              lines.toSpliced(at, 1),
              lines.toSpliced(to, 0, line),
              lines.with(at, swapped).with(to, line),
              lines.with(at, flip(line, bit)),
              lines.with(at, line.subarray(0, bit % (line.length + 1))),
            ])
              await expectFoundOrHarmless(files, files.with(index, ended(changed)));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("is found altered: what was torn, what came before it, and what is repeated", async () => {
    const chain = await makeChain(5);
    // The third record of a write of four was torn.
    const whole = write(chain, 1, 5);
    const cut = write(chain, 1, 3).length + 300;
    const file = Buffer.concat([write(chain, 0, 1), whole.subarray(0, cut), Buffer.from("\n"), whole]);
    expect(await verify([file])).toMatchObject({ findings: [], records: 5, torn: 1 });
    const lines = linesOf(file);
    for (const [at, line] of lines.entries()) {
      for (let bit = 0; bit < line.length * 8; bit += 13) {
        const isFound = await expectFoundOrHarmless([file], [ended(lines.with(at, flip(line, bit)))]);
        // Nothing goes on from the last one; who is named in the line before it all is another writer.
        if (at < lines.length - 1 && !line.subarray(0, 10).equals(Buffer.from('{"type":"w')))
          expect(isFound, `${String(at)} ${String(bit)}`).toBe(true);
      }
      const isLost = await expectFoundOrHarmless([file], [ended(lines.toSpliced(at, 1))]);
      // The torn line itself, a line that only names the writer again, and the last one.
      if (![2, 5, lines.length - 1].includes(at)) expect(isLost, `without line ${String(at)}`).toBe(true);
    }
  });

  it("is a finding when it is not repeated to the end, so that nothing says which is right", async () => {
    const chain = await makeChain(5);
    const file = Buffer.concat([write(chain, 0, 4), write(chain, 1, 3)]);
    expect((await verify([file])).findings).toMatchObject([{ kind: "record", sequence: 4 }]);
  });
});

describe("what a killed process leaves in the files of a sink", () => {
  it("is no finding: at the end, before lines of another process, and at the end of a file that was moved away", async () => {
    const [killed, next] = [await makeChain(3), await makeChain(2)];
    const whole = write(killed, 0, 3);
    const follows = write(next, 0, 2);
    for (let length = 0; length <= whole.length; length += 7) {
      const rest = whole.subarray(0, length);
      for (const files of [[rest], [Buffer.concat([rest, behind(rest, follows)])], [rest, follows]])
        expect((await verify(files)).findings, String(length)).toEqual([]);
    }
  });

  it("is found where the chain goes on behind it, or where it does not begin as the next line would", async () => {
    const chain = await makeChain(4);
    const lines = chain.lines.map((line, index) => (index === 2 ? line.subarray(0, 300) : line));
    const start = formatLine(writerLine(startChain(chain.positions[0]?.writer ?? "")));
    expect((await verify([ended([start, ...lines])])).findings).not.toEqual([]);
    for (const text of ["{}", "garbage", '{"sequence":7', `{"sequence":2,"previous":"${"0".repeat(64)}","time"`, '{"type":"statement"'])
      expect((await verify([ended([start, ...chain.lines.slice(0, 1), Buffer.from(text)])])).findings, text).toMatchObject([
        { kind: "export" },
      ]);
    // Whole, and yet no record.
    const wrong = Buffer.from(String(chain.lines[3]).replace('"allowed"', '"perhaps"'));
    expect((await verify([ended([start, ...chain.lines.slice(0, 3), wrong])])).findings).toMatchObject([{ kind: "export" }]);
  });
});

function flip(bytes: Uint8Array, bit: number): Buffer {
  const flipped = Buffer.from(bytes);
  if (flipped.length === 0) return Buffer.from("x");
  const index = (bit >> 3) % flipped.length;
  flipped.writeUInt8(flipped.readUInt8(index) ^ (1 << (bit & 7)), index);
  return flipped;
}
