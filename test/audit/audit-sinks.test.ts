import { Writable } from "node:stream";
import { expect, it } from "vitest";
import { startChain } from "../../src/audit/hash-chain.ts";
import type { LineGroup } from "../../src/audit/line-group.ts";
import { AuditSinks } from "../../src/audit/sinks/audit-sinks.ts";
import type { AuditSink } from "../../src/audit/sinks/audit-sink.ts";
import { StdoutSink } from "../../src/audit/sinks/stdout-sink.ts";
import { TestClock } from "../support/test-clock.ts";

const writer = "7f0d1c9e-93a4-4d51-8a0e-0e7f7e4b1c11";
const head = startChain(writer).head.toString("hex");
const lineOf = (sequence: number): LineGroup => ({ first: sequence, last: sequence, head, bytes: Buffer.from(`${sequence}\n`) });

it("a sink that works again gets all that it owes, in order, before anything else", async () => {
  const taken: string[] = [];
  const state = { works: false };
  const sink: AuditSink = {
    name: "flaky",
    open: () => Promise.resolve(),
    append: (_writer, { bytes }) => {
      if (!state.works) return Promise.reject(new Error("full"));
      taken.push(bytes.toString());
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
  const sinks = await AuditSinks.open([sink], new TestClock());
  for (const sequence of [1, 2, 3]) {
    const lines = lineOf(sequence);
    expect(await sinks.append(writer, lines)).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
    // Its memory is used again.
    lines.bytes.fill("-");
  }
  expect(sinks.problems).toMatchObject([{ where: "flaky" }]);
  state.works = true;
  await sinks.recover();
  expect(await sinks.append(writer, lineOf(4))).toBeUndefined();
  expect(taken).toEqual(["1\n", "2\n", "3\n", "4\n"]);
  await sinks.close();
});

it("a sink that is slow has not failed: nothing is refused and nothing is given to it twice", async () => {
  const taken: number[] = [];
  const asked = Promise.withResolvers<undefined>();
  const free = Promise.withResolvers<undefined>();
  const sink: AuditSink = {
    name: "slow",
    open: () => Promise.resolve(),
    append: async (_writer, { first }) => {
      asked.resolve(undefined);
      await free.promise;
      taken.push(first);
    },
    close: () => Promise.resolve(),
  };
  const sinks = await AuditSinks.open([sink], new TestClock());
  const first = sinks.append(writer, lineOf(1));
  await asked.promise;
  expect({ working: sinks.working, problems: sinks.problems }).toEqual({ working: true, problems: [] });
  const second = sinks.append(writer, lineOf(2));
  const recovery = sinks.recover();
  free.resolve(undefined);
  expect(await Promise.all([first, second, recovery])).toEqual([undefined, undefined, undefined]);
  expect(taken).toEqual([1, 2]);
  await sinks.close();
});

it("the stdout sink takes nothing more once its reader is gone, though the stream would", async () => {
  const stream = new Writable({ write: (_chunk, _encoding, done) => done() });
  const sink = new StdoutSink(stream);
  await sink.open();
  await sink.append(writer, lineOf(1));
  stream.emit("error", new Error("EPIPE"));
  await expect(sink.append(writer, lineOf(2))).rejects.toThrow("EPIPE");
  await sink.close();
});
