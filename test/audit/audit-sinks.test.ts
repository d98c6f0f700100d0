import { Writable } from "node:stream";
import { expect, it } from "vitest";
import { startChain } from "../../src/audit/hash-chain.ts";
import type { LineGroup } from "../../src/audit/line-group.ts";
import { AuditSinks } from "../../src/audit/sinks/audit-sinks.ts";
import type { AuditSink } from "../../src/audit/sinks/audit-sink.ts";
import { StdoutSink } from "../../src/audit/sinks/stdout-sink.ts";
import { newPlace, numbered, storedNumbers } from "./support/trail.ts";
import { ManualClock, until } from "./support/manual-clock.ts";

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
  const sinks = await AuditSinks.open([sink], new ManualClock());
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
  const sinks = await AuditSinks.open([sink], new ManualClock());
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

/** A sink that ends what it is given when it is told to. */
function heldSink(name: string) {
  const given: { readonly line: string; readonly end: PromiseWithResolvers<undefined> }[] = [];
  const state = { closed: false };
  const sink: AuditSink = {
    name,
    open: () => Promise.resolve(),
    append: async (_writer, { bytes }) => {
      const end = Promise.withResolvers<undefined>();
      given.push({ line: bytes.toString(), end });
      await end.promise;
    },
    close: () => {
      state.closed = true;
      return Promise.resolve();
    },
  };
  return { sink, given, state };
}

it("a sink that hangs is a problem after five seconds, is given nothing else until it ended, and goes on by itself then", async () => {
  const clock = new ManualClock();
  const { sink, given, state } = heldSink("held");
  const sinks = await AuditSinks.open([sink], clock);
  const first = sinks.append(writer, lineOf(1));
  const second = sinks.append(writer, lineOf(2));
  await until(() => given.length === 1);
  clock.advance(4_999);
  expect(sinks.working).toBe(true);
  clock.advance(1);
  const refusal = { code: "AUDIT_UNAVAILABLE", message: expect.stringMatching(/held .*within 5 s; see that/) as string };
  expect(await first).toMatchObject(refusal);
  expect(await second).toMatchObject(refusal);
  const message = expect.stringContaining("within 5 s; see that") as string;
  expect(sinks.problems).toMatchObject([{ where: "held", hangs: true, cause: { message } }]);
  // Neither who tries again nor who has more to say waits for it.
  clock.advance(1_000);
  await expect(sinks.recover()).rejects.toMatchObject(refusal);
  expect(await sinks.append(writer, lineOf(3))).toMatchObject(refusal);
  expect({ given: given.length, waiting: clock.waiting }).toEqual({ given: 1, waiting: 0 });
  given[0]?.end.resolve(undefined);
  for (const count of [2, 3]) {
    await until(() => given.length === count);
    // It owes until it has all.
    expect(sinks.working).toBe(false);
    given[count - 1]?.end.resolve(undefined);
  }
  await until(() => sinks.working);
  expect(sinks.problems).toEqual([]);
  expect(given.map(({ line }) => line)).toEqual(["1\n", "2\n", "3\n"]);
  await sinks.close();
  expect({ closed: state.closed, waiting: clock.waiting }).toEqual({ closed: true, waiting: 0 });
});

it("a sink that hangs and then refuses is given the same again", async () => {
  const clock = new ManualClock();
  const { sink, given } = heldSink("held");
  const sinks = await AuditSinks.open([sink], clock);
  const first = sinks.append(writer, lineOf(1));
  await until(() => given.length === 1);
  clock.advance(5_000);
  expect(await first).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
  given[0]?.end.reject(new Error("gone"));
  await until(() => sinks.problems.every(({ hangs }) => hangs === undefined));
  expect(sinks.problems).toMatchObject([{ where: "held", cause: { message: "gone" } }]);
  const recovery = sinks.recover();
  await until(() => given.length === 2);
  given[1]?.end.resolve(undefined);
  await recovery;
  expect(given.map(({ line }) => line)).toEqual(["1\n", "1\n"]);
  await sinks.close();
});

it("closing does not wait for a sink that hangs, and closes it when it has ended", async () => {
  const clock = new ManualClock();
  const { sink, given, state } = heldSink("held");
  const other = heldSink("other");
  const sinks = await AuditSinks.open([sink, other.sink], clock);
  const first = sinks.append(writer, lineOf(1));
  await until(() => given.length === 1 && other.given.length === 1);
  other.given[0]?.end.resolve(undefined);
  const closing = sinks.close();
  clock.advance(5_000);
  await closing;
  expect(await first).toMatchObject({ code: "AUDIT_UNAVAILABLE" });
  expect([state.closed, other.state.closed]).toEqual([false, true]);
  expect(sinks.problems).toMatchObject([{ where: "held", hangs: true }]);
  given[0]?.end.resolve(undefined);
  await until(() => state.closed);
  expect(given).toHaveLength(1);
});

it("a sink that is not opened or closed in time is not waited for", async () => {
  const clock = new ManualClock();
  const opened = Promise.withResolvers<undefined>();
  const { sink, state } = heldSink("held");
  const opening = AuditSinks.open([{ ...sink, open: () => opened.promise }], clock);
  clock.advance(5_000);
  await expect(opening).rejects.toMatchObject({
    code: "AUDIT_UNAVAILABLE",
    message: expect.stringContaining("held takes no records (it was not opened within 5 s") as string,
  });
  expect(state.closed).toBe(false);
  opened.resolve(undefined);
  await until(() => state.closed);
  const sinks = await AuditSinks.open([{ ...sink, close: () => new Promise<void>(() => undefined) }], clock);
  const closing = sinks.close();
  await until(() => clock.waiting === 1);
  clock.advance(5_000);
  await closing;
  expect(sinks.problems).toMatchObject([{ where: "held", hangs: true }]);
});

it("a stream that takes a write and never ends it stops answers of a trail, which goes on where it was when it is read again", async () => {
  const place = await newPlace();
  const taken: string[] = [];
  const state: { hold: boolean; held: (() => void) | undefined } = { hold: false, held: undefined };
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      const take = (): void => {
        taken.push(chunk.toString());
        done();
      };
      if (state.hold) state.held = take;
      else take();
    },
  });
  const trail = await place.open({ sinks: await AuditSinks.open([new StdoutSink(stream)], place.clock) });
  await trail.record(numbered(0));
  state.hold = true;
  const waiting = trail.record(numbered(1));
  await until(() => state.held !== undefined);
  const alsoWaiting = trail.record(numbered(2));
  place.clock.advance(5_000);
  await expect(waiting).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
  await expect(alsoWaiting).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
  expect(trail.problems).toMatchObject([{ where: "stdout", hangs: true }]);
  await expect(trail.record(numbered(3))).rejects.toMatchObject({ code: "AUDIT_UNAVAILABLE" });
  state.hold = false;
  state.held?.();
  await until(() => trail.problems.length === 0);
  await trail.record(numbered(4));
  await trail.close();
  const numbers = taken.flatMap((text) => [...text.matchAll(/"number":(\d)/g)].map(([, number]) => Number(number)));
  // What was given up while it waited is in journal and store; what came when the sink was known to hang is nowhere.
  expect(numbers).toEqual([0, 1, 2, 4]);
  expect(await storedNumbers(place)).toEqual([0, 1, 2, 4]);
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
