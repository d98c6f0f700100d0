import { describe, expect, it } from "vitest";
import { ClockAge } from "../../src/crypto/clock-age.ts";
import { RandomPool, systemRandom } from "../../src/crypto/random.ts";
import { randomUuid, uuidOf } from "../../src/crypto/uuid.ts";
import { ManualClock } from "./support/manual-clock.ts";
import { SeededRandom } from "./support/random.ts";

describe("RandomPool", () => {
  it("draws blocks and hands out every byte once", () => {
    const source = new SeededRandom("pool");
    const stream = new SeededRandom("pool").bytes(4_096 * 2);
    const pool = new RandomPool(source, new ManualClock());
    const taken = Buffer.concat(Array.from({ length: 600 }, () => pool.bytes(12)));
    expect(source.requests).toEqual([4_096, 4_096]);
    // 341 × 12 bytes fit into a block; the remaining 4 are skipped.
    expect(taken.subarray(0, 341 * 12)).toEqual(stream.subarray(0, 341 * 12));
    expect(taken.subarray(341 * 12)).toEqual(stream.subarray(4_096, 4_096 + 259 * 12));
  });

  it("gives memory that is not the pool's", () => {
    const pool = new RandomPool(new SeededRandom("memory"), new ManualClock());
    const other = new RandomPool(new SeededRandom("memory"), new ManualClock());
    pool.bytes(12).fill(0xff);
    other.bytes(12);
    expect(pool.bytes(12)).toEqual(other.bytes(12));
  });

  it("draws anything longer than a nonce from the source itself", () => {
    const source = new SeededRandom("long");
    const pool = new RandomPool(source, new ManualClock());
    expect(pool.bytes(24)).toHaveLength(24);
    expect(pool.bytes(25)).toHaveLength(25);
    expect(pool.bytes(32)).toHaveLength(32);
    expect(source.requests).toEqual([4_096, 25, 32]);
  });

  it("gives digits of the same bytes, none of them twice, and does not keep what it gave", () => {
    const blocks: Buffer[] = [];
    const source = new SeededRandom("digits");
    const watched = {
      bytes: (length: number): Buffer => {
        const block = source.bytes(length);
        blocks.push(block);
        return block;
      },
    };
    const pool = new RandomPool(watched, new ManualClock());
    const other = new RandomPool(new SeededRandom("digits"), new ManualClock());
    for (const length of [16, 12, 24]) {
      expect(pool.hex(length)).toBe(other.bytes(length).toString("hex"));
      expect(pool.bytes(length)).toEqual(other.bytes(length));
    }
    expect(blocks[0]?.subarray(0, 2 * (16 + 12 + 24)).every((byte) => byte === 0)).toBe(true);
    expect(pool.hex(25)).toBe(other.bytes(25).toString("hex"));
    expect(source.requests).toEqual([4_096, 25]);
  });

  it.each<[string, (clock: ManualClock) => void, number]>([
    ["keeps a block for a second", (clock) => clock.pass(1_000), 1],
    ["drops it after that", (clock) => clock.pass(1_001), 2],
    ["drops it when the wall clock jumps ahead", (clock) => (clock.wall += 1_001), 2],
    ["drops it when the wall clock goes back", (clock) => (clock.wall -= 1_001), 2],
    ["drops it when only the steady clock went on", (clock) => (clock.steady += 1_001), 2],
    ["drops it after a day", (clock) => clock.pass(86_400_000), 2],
  ])("%s", (_, move, blocks) => {
    const source = new SeededRandom("age");
    const clock = new ManualClock();
    const pool = new RandomPool(source, clock);
    pool.bytes(12);
    move(clock);
    pool.bytes(12);
    expect(source.requests).toHaveLength(blocks);
  });
});

describe("a UUID", () => {
  it("has the digits of its bytes, with the version and the variant of RFC 9562", () => {
    expect(uuidOf("00112233445566778899aabbccddeeff")).toBe("00112233-4455-4677-8899-aabbccddeeff");
    expect(uuidOf("f".repeat(32))).toBe("ffffffff-ffff-4fff-bfff-ffffffffffff");
    const variants = Array.from("0123456789abcdef", (digit) => uuidOf(`${"0".repeat(16)}${digit}${"0".repeat(15)}`).charAt(19));
    expect(variants.join("")).toBe("89ab89ab89ab89ab");
    expect(randomUuid(new SeededRandom("uuid"))).toBe(uuidOf(new SeededRandom("uuid").bytes(16).toString("hex")));
  });
});

describe("systemRandom", () => {
  it("gives different bytes each time", () => {
    expect(systemRandom.bytes(32)).not.toEqual(systemRandom.bytes(32));
    expect(systemRandom.bytes(7)).toHaveLength(7);
  });
});

describe("ClockAge", () => {
  it("says the larger of both clocks, and infinity after a jump", () => {
    const clock = new ManualClock();
    const age = new ClockAge(clock);
    expect(age.milliseconds()).toBe(0);
    clock.pass(500);
    clock.wall += 200;
    expect(age.milliseconds()).toBe(700);
    clock.wall -= 1_000;
    expect(age.milliseconds()).toBe(500);
    clock.wall -= 1_000;
    expect(age.milliseconds()).toBe(Infinity);
  });
});
