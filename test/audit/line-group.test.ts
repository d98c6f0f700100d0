import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { extendChain, GrowingChain, startChain } from "../../src/audit/hash-chain.ts";
import { KeptLines } from "../../src/audit/kept-lines.ts";
import { LineMemory } from "../../src/audit/line-memory.ts";
import { LineAssembly, type LineGroup, rowsOf } from "../../src/audit/line-group.ts";

const writer = "7f0d1c9e-93a4-4d51-8a0e-0e7f7e4b1c11";
const line = fc.string({ unit: "binary", maxLength: 300 }).map((text) => JSON.stringify(text));

/** Groups of so many lines each, the first of which is number 1. */
function groupsOf(counts: readonly number[], bytes = 10): LineGroup[] {
  let last = 0;
  return counts.map((count) => {
    const first = last + 1;
    last += count;
    return { first, last, head: "", bytes: Buffer.alloc(bytes * count, 0x0a) };
  });
}

function keep(groups: readonly LineGroup[]): KeptLines {
  const kept = new KeptLines();
  for (const group of groups) kept.add(group);
  return kept;
}

describe("a chain in the hands of its writer", () => {
  it("is the chain that anybody else works out", () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
        const chain = new GrowingChain(writer, 4_096);
        let position = startChain(writer);
        for (const text of lines) {
          expect({ count: chain.count, head: chain.head }).toEqual({ count: position.count, head: position.head.toString("hex") });
          const bytes = Buffer.from(text);
          expect(Buffer.from(chain.add(text))).toEqual(bytes);
          position = extendChain(position, bytes);
        }
        expect(chain.position).toEqual(position);
      }),
    );
  });
});

describe("lines that are put together", () => {
  it("come apart as they were, however many and long", () => {
    const assembly = new LineAssembly();
    const lines = fc.array(
      fc.oneof(
        line,
        line.map((text) => text.repeat(200)),
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(fc.array(lines, { maxLength: 5 }), (groups) => {
        const pieces: Buffer[] = [];
        for (const texts of groups) {
          for (const text of texts) assembly.add(Buffer.from(text.replaceAll("\n", "")));
          pieces.push(Buffer.from(assembly.take()));
        }
        const rows = rowsOf({ writer, first: 5, pieces });
        expect(rows.map((row) => Buffer.from(row.line).toString())).toEqual(groups.flat().map((text) => text.replaceAll("\n", "")));
        expect(rows.map(({ sequence }) => sequence)).toEqual(rows.map((_, index) => 5 + index));
      }),
    );
  });
});

describe("lines that were taken", () => {
  it("are good until lines are taken again, and not longer", () => {
    const assembly = new LineAssembly();
    const take = (text: string): Buffer => {
      assembly.add(Buffer.from(text));
      return assembly.take();
    };
    const first = take("first");
    const large = take("l".repeat(3_000_000));
    assembly.add(Buffer.from("while the large one is being written"));
    expect(large.toString()).toBe(`${"l".repeat(3_000_000)}\n`);
    expect(assembly.take().toString()).toBe("while the large one is being written\n");
    take("again");
    take("and again");
    expect(first.toString()).not.toBe("first\n");
  });
});

describe("a piece that is cut", () => {
  it("is refused", () => {
    expect(() => rowsOf({ writer, first: 1, pieces: [Buffer.from("a\n"), Buffer.from("b\nc")] })).toThrow(TypeError);
  });
});

describe("lines that are kept for the store", () => {
  it("are given by whole groups, about as many as are asked for, and one at least", () => {
    const groups = groupsOf([3, 4, 600, 1]);
    const kept = keep(groups);
    const given = (lines: number, bytes = Infinity): number[] => kept.peek(lines, bytes).map(({ first }) => first);
    expect([given(512), given(7), given(6), given(1), given(10_000)]).toEqual([[1, 4], [1, 4], [1], [1], [1, 4, 8, 608]]);
    expect([given(512, 1), given(512, 31)]).toEqual([[1], [1, 4]]);
    kept.dropTo(7);
    expect([given(512), kept.first]).toEqual([[8], 8]);
    expect(new KeptLines().peek(1, 1)).toEqual([]);
  });

  it("are copies, of which none changes before it is dropped", () => {
    const text = fc.string({ unit: "binary-ascii", minLength: 1, maxLength: 30 }).map((part) => part.replaceAll("\n", " "));
    const act = fc.oneof(
      fc.record({ add: fc.tuple(text, fc.constantFrom(1, 1_000, 15_000, 50_000)).map(([part, times]) => part.repeat(times)) }),
      fc.record({ drop: fc.nat({ max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const kept = new KeptLines();
        let expected: { readonly sequence: number; readonly line: string }[] = [];
        let last = 0;
        for (const next of acts) {
          if ("add" in next) {
            last++;
            const bytes = Buffer.from(`${next.add}\n`);
            kept.add({ first: last, last, head: "", bytes });
            bytes.fill(0);
            expected.push({ sequence: last, line: next.add });
            if (kept.first === Number.POSITIVE_INFINITY) expected = [];
          } else {
            kept.dropTo(kept.first - 1 + next.drop);
            expected = expected.slice(next.drop);
          }
          const given = kept.peek(Infinity, Infinity);
          expect(given.map(({ first, bytes }) => ({ sequence: first, line: bytes.toString("utf8", 0, bytes.length - 1) }))).toEqual(
            expected,
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it("use their memory again once it is dropped, and leave it to whoever reads it when they are too many", () => {
    const kept = new KeptLines();
    const group = (length: number, fill: string): LineGroup => ({ first: 1, last: 1, head: "", bytes: Buffer.alloc(length, fill) });
    const read = (): Buffer | undefined => kept.peek(1, 1)[0]?.bytes;
    kept.add(group(10_000, "a"));
    const memory = read()?.buffer;
    kept.dropTo(1);
    kept.add(group(10_000, "b"));
    expect(read()?.buffer).toBe(memory);
    let groups: readonly Buffer[] = [];
    while (kept.first === 1) {
      groups = kept.peek(Infinity, Infinity).map(({ bytes }) => bytes);
      kept.add(group(10_000, "b"));
    }
    for (let count = 0; count < 2_000; count++) kept.add(group(10_000, "c"));
    expect(groups.every((bytes) => bytes.equals(Buffer.alloc(10_000, "b")))).toBe(true);
  });

  it("give their memory to the next journal once they are dropped", () => {
    const memory = new LineMemory();
    const [first, second] = [new KeptLines(memory), new KeptLines(memory)];
    const [group] = groupsOf([3]);
    if (group === undefined) throw new Error("there is no group");
    first.add(group);
    second.add(group);
    const [own, others] = [first, second].map((kept) => kept.peek(1, 1)[0]?.bytes.buffer);
    expect(own).not.toBe(others);
    first.dropTo(3);
    second.dropTo(3);
    second.add(group);
    first.add(group);
    const again = [first, second].map((kept) => kept.peek(1, 1)[0]?.bytes.buffer);
    expect(new Set(again)).toEqual(new Set([own, others]));
    expect(again[0]).not.toBe(again[1]);
  });

  it("are copied even when they are larger than the memory for many", () => {
    const kept = new KeptLines();
    const bytes = Buffer.alloc(2_000_000, "a");
    kept.add({ first: 1, last: 1, head: "", bytes });
    bytes.fill("b");
    expect(kept.peek(1, 1)[0]?.bytes.equals(Buffer.alloc(2_000_000, "a"))).toBe(true);
  });

  it("begin behind what was dropped: a group that was taken in part is dropped, and its rest read from the file", () => {
    const kept = keep(groupsOf([3, 4, 5]));
    kept.dropTo(5);
    expect(kept.first).toBe(8);
    kept.dropTo(12);
    expect(kept.first).toBe(Number.POSITIVE_INFINITY);
  });

  it("stay few: all are dropped when the store does not take them", () => {
    const kept = new KeptLines();
    const told: number[] = [];
    kept.follow((count) => told.push(count));
    for (const group of groupsOf(
      Array.from({ length: 9 }, () => 1_000),
      1_000,
    ))
      kept.add(group);
    expect({ first: kept.first, told }).toEqual({ first: Number.POSITIVE_INFINITY, told: Array.from({ length: 9 }, () => 1_000) });
    const [next] = groupsOf([2]);
    if (next !== undefined) kept.add(next);
    expect(kept.first).toBe(1);
  });

  it("are forgotten a few at a time without being mixed up", () => {
    const kept = keep(groupsOf(Array.from({ length: 5_000 }, () => 2)));
    for (let sequence = 2; sequence < 10_000; sequence += 2) {
      kept.dropTo(sequence);
      expect(kept.first).toBe(sequence + 1);
      expect(kept.peek(2, 1_000)[0]?.last).toBe(sequence + 2);
    }
  });
});
