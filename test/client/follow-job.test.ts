import type { ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { ConnectionOptions } from "../../src/client/connection-options.ts";
import type { KeysteadClient } from "../../src/client/keystead-client.ts";
import { TestClock } from "../support/test-clock.ts";
import { codeOf } from "../support/test-keystead.ts";
import { type Act, clientOf, failureOf, problem, serverOf, token } from "./support/acting-server.ts";

const progress = { scanned: 1, problems: 0, replaced: 0, firstProblems: [] };
const job = { id: "1", dataset: "crm", kind: "protect", state: "running", dryRun: false, progress };
const ended = { job: { ...job, state: "paused" } };
const hour = 3_600_000;

const busy = problem("OVERLOADED", 503);
const refused = problem("UNAUTHENTICATED", 401);
const cut: Act = ({ socket }) => socket?.destroy();

function tell(response: ServerResponse, sighting: object): void {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(`data: ${JSON.stringify(sighting)}\n\n`);
}

/** Tells something, and is lost when that has arrived. */
const heard =
  (sighting: object = { job }): Act =>
  async (response) => {
    tell(response, sighting);
    await setImmediate();
    response.destroy();
  };
const told =
  (sighting: object): Act =>
  (response) => {
    tell(response, sighting);
    response.end();
  };

function times(count: number, act: Act): Act[] {
  return Array.from({ length: count }, () => act);
}

/** A server on which a job is started, what it does with those who ask for events and for a pause, and how often it was asked. */
interface JobServer {
  readonly client: KeysteadClient;
  readonly clock: TestClock;
  readonly asked: { events: number; pause: number };
}

/** The last act is for all that follow. */
async function jobServer(events: readonly Act[], pause: readonly Act[] = [], options: Partial<ConnectionOptions> = {}): Promise<JobServer> {
  const asked = { events: 0, pause: 0 };
  const clock = new TestClock();
  const start: Act = (response) => response.writeHead(202, { "content-type": "application/json" }).end(JSON.stringify(job));
  const { listen } = await serverOf((response, request) => {
    const what = /\/job\/(events|pause)$/.exec(request.url ?? "")?.[1];
    if (what !== "events" && what !== "pause") return start(response, request);
    const acts = what === "events" ? events : pause;
    const act = acts[Math.min(asked[what], acts.length - 1)];
    asked[what] += 1;
    return act?.(response, request);
  });
  return { client: clientOf(await listen(0), { clock, retries: 0, ...options }), clock, asked };
}

describe("a job that is followed", () => {
  it("is followed again when the connection was lost, as often as that may be", async () => {
    // A server may also end in order, and say nothing of the job.
    const { client, clock, asked } = await jobServer([heard(), ...times(60, cut), heard(), (response) => response.end(), told(ended)]);
    const seen: number[] = [];
    const onProgress = ({ scanned }: { readonly scanned: number }): void => void seen.push(scanned);
    expect(await client.datasets.protect("crm", { onProgress })).toMatchObject({ id: "1", state: "paused" });
    expect({ seen, events: asked.events, waited: clock.monotonic() }).toEqual({ seen: [1, 1, 1], events: 64, waited: 63_000 });
  });

  it("is given up two minutes after the connection was lost, however long nothing had happened before", async () => {
    const first: Act = async (response, request) => {
      clock.advance(hour);
      await heard()(response, request);
    };
    const { client, clock } = await jobServer([first, cut]);
    const failure = await failureOf(client.datasets.verify("crm"));
    expect(failure).toMatchObject({
      code: "SERVER_UNREACHABLE",
      message: "the server does not tell any more how the job on dataset crm goes; look at it with `keystead jobs show crm`",
      cause: { code: "SERVER_UNREACHABLE" },
    });
    expect(clock.monotonic()).toBe(hour + 120_000);
  });

  it("is followed on when the server, its store or the issuer of tokens could not answer for a while", async () => {
    let away = 0;
    const leave: Act = (response, request) => {
      away = 60;
      return heard()(response, request);
    };
    const given = (): string => {
      if (away === 0) return token;
      away -= 1;
      throw new Error("the issuer is away");
    };
    const acts = [...times(30, busy), ...times(30, problem("STORE_BUSY", 503)), leave, told(ended)];
    const { client, clock, asked } = await jobServer(acts, [], { token: given });
    expect(await client.datasets.protect("crm")).toMatchObject({ state: "paused" });
    expect([away, asked.events, clock.monotonic()]).toEqual([0, 62, 121_000]);
  });

  it("is given up when the function that gives the token fails for two minutes", async () => {
    let isAway = false;
    const leave: Act = (response, request) => {
      isAway = true;
      return heard()(response, request);
    };
    const given = (): string => {
      if (!isAway) return token;
      throw new Error("the issuer is away");
    };
    const { client, clock } = await jobServer([leave], [], { token: given });
    expect(await failureOf(client.datasets.protect("crm"))).toMatchObject({
      code: "SERVER_UNREACHABLE",
      cause: { code: "UNAUTHENTICATED" },
    });
    expect(clock.monotonic()).toBe(120_000);
  });

  it("is given up at once when its token is refused before anything was heard, and later when the next one is, too", async () => {
    const never = await jobServer([refused, told(ended)]);
    expect(await codeOf(never.client.datasets.protect("crm"))).toBe("UNAUTHENTICATED");
    expect([never.asked.events, never.clock.monotonic()]).toEqual([1, 0]);
    const later = await jobServer([heard(), refused, heard(), cut, refused, refused, told(ended)]);
    expect(await codeOf(later.client.datasets.protect("crm"))).toBe("UNAUTHENTICATED");
    expect(later.asked.events).toBe(6);
  });

  it("is not followed again when what is told of it can't be taken", async () => {
    const { client, asked } = await jobServer([told({ job }), told(ended)]);
    const onProgress = (): void => {
      throw new TypeError("nobody listens");
    };
    await expect(client.datasets.protect("crm", { onProgress })).rejects.toThrow("nobody listens");
    expect(asked.events).toBe(1);
  });

  it("is followed to the second of two jobs, whichever process of the server works on it", async () => {
    const look = { ...job, state: "done" };
    const erase = { ...look, id: "2", kind: "erase" };
    const erased = async (...sightings: readonly object[]): Promise<unknown> => {
      const { client } = await jobServer(sightings.map(told));
      return client.datasets.eraseColumn("crm", "email");
    };
    // The process that is asked first knows how the look ended, and nothing of the order.
    const found = await erased({ job: look }, { job: look }, { job: { ...erase, state: "running" } }, { job: erase });
    expect(found).toMatchObject({ id: "2", kind: "erase", state: "done" });
    // Somebody else's job may have begun by the time that the end is told.
    const other = { ...look, id: "3", kind: "verify", state: "running" };
    expect(await erased({ job: other, result: erase })).toMatchObject({ id: "2", kind: "erase" });
    expect(await codeOf(erased({ job: { ...look, progress: { ...progress, replaced: 1 } } }))).toBe("JOB_INCOMPLETE");
    expect(await erased({ job: { ...look, dryRun: true } })).toMatchObject({ kind: "protect", dryRun: true });
  });
});

describe("the signal of a job", () => {
  /** A job that is followed: its sightings are told by `see`, which resolves once one was taken. */
  async function followed(...pause: readonly Act[]) {
    const opened = Promise.withResolvers<ServerResponse>();
    const { client, clock, asked } = await jobServer([(response) => opened.resolve(response)], pause);
    const controller = new AbortController();
    let seen = 0;
    const result = client.datasets.eraseColumn("crm", "email", { signal: controller.signal, onProgress: () => (seen += 1) });
    const response = await opened.promise;
    const see = async (sighting: object): Promise<void> => {
      const before = seen;
      tell(response, { job: { ...job, ...sighting } });
      await expect.poll(() => seen, { interval: 1 }).toBeGreaterThan(before);
    };
    return { see, clock, asked, result, stop: () => controller.abort() };
  }
  const paused: Act = (response) => response.setHeader("content-type", "application/json").end("{}");

  it.each([
    ["is busy", busy],
    ["loses the connection", cut],
    ["has nobody to ask about the token", refused],
  ])("pauses it also when the server %s at first", async (_, lost) => {
    const { see, clock, asked, result, stop } = await followed(lost, lost, paused);
    await see({});
    expect(asked.pause).toBe(0);
    stop();
    await expect.poll(() => asked.pause).toBe(1);
    // As often as the job is seen, it is asked for once a second.
    for (let turn = 0; turn < 20; turn += 1) await see({});
    expect(asked.pause).toBe(1);
    for (const count of [2, 3]) {
      clock.advance(1_000);
      const seeOnce = async (): Promise<number> => {
        await see({});
        return asked.pause;
      };
      await expect.poll(seeOnce).toBe(count);
    }
    // The server has taken it.
    for (let turn = 0; turn < 20; turn += 1) {
      clock.advance(1_000);
      await see({});
    }
    expect(asked.pause).toBe(3);
    await see({ state: "paused" });
    expect(await result).toMatchObject({ state: "paused" });
  });

  it("asks once at a time", async () => {
    const held = Promise.withResolvers<undefined>();
    const { see, clock, asked, result, stop } = await followed(async (response, request) => {
      await held.promise;
      return paused(response, request);
    });
    stop();
    await expect.poll(() => asked.pause).toBe(1);
    for (let turn = 0; turn < 20; turn += 1) {
      clock.advance(1_000);
      await see({});
    }
    expect(asked.pause).toBe(1);
    held.resolve(undefined);
    await see({ state: "paused" });
    expect(await result).toMatchObject({ state: "paused" });
  });

  it.each([
    ["CONFLICT", 409],
    ["ACCESS_DENIED", 403],
  ])("asks no more for a job that is not paused for %s, but for the next one of its order", async (code, status) => {
    const { see, clock, asked, result, stop } = await followed(problem(code, status), paused);
    stop();
    await expect.poll(() => asked.pause).toBe(1);
    for (let turn = 0; turn < 20; turn += 1) {
      clock.advance(1_000);
      await see({});
    }
    expect(asked.pause).toBe(1);
    await see({ id: "2", kind: "erase" });
    await expect.poll(() => asked.pause).toBe(2);
    await see({ id: "2", kind: "erase", state: "paused" });
    expect(await result).toMatchObject({ id: "2", state: "paused" });
  });
});
