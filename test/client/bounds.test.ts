import { once } from "node:events";
import { describe, expect, it } from "vitest";
import type { ServedCalls } from "../../src/client/served-calls.ts";
import { partOf } from "../api/support/api-methods.ts";
import { methods } from "../support/public-methods.ts";
import { TestClock } from "../support/test-clock.ts";
import { codeOf } from "../support/test-keystead.ts";
import { type Act, clientOf, failureOf, good, plain, problem, rawServer, serverOf } from "./support/acting-server.ts";

const never: Act = () => undefined;

/** Calls a method by its path, with arguments that are right; of what answers with events the first is taken. */
async function callOf(calls: ServedCalls, path: string): Promise<unknown> {
  const [service, name] = path.includes(".") ? path.split(".") : ["keystead", path];
  const { args } = methods[service ?? ""]?.find((method) => method.name === name) ?? { args: [] };
  const owner: unknown = service === "keystead" ? calls : Reflect.get(calls, service ?? "");
  if (typeof owner !== "object" || owner === null) throw new Error(`the client has no ${path}`);
  const method: unknown = Reflect.get(owner, name ?? "");
  if (typeof method !== "function") throw new Error(`the client has no ${path}`);
  const found: unknown = Reflect.apply(method, owner, args);
  return isAsyncIterable(found) ? found[Symbol.asyncIterator]().next() : found;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

describe("calls with bounds of their own", () => {
  it.each(Object.keys(partOf))("%s is stopped by their signal, under way and before", async (path) => {
    const controller = new AbortController();
    const { server, listen, asked } = await serverOf(() => controller.abort(), never);
    const calls = clientOf(await listen(0)).with({ signal: controller.signal });
    expect((await failureOf(callOf(calls, path))).code).toBe("CANCELLED");
    expect(asked).toHaveLength(1);
    expect((await failureOf(callOf(calls, path))).code).toBe("CANCELLED");
    expect(asked).toHaveLength(1);
    // A job that may have begun is still waited for, to be paused.
    server.closeAllConnections();
  });

  it("streams, too, and a call is stopped by whichever signal comes first", async () => {
    const { listen } = await serverOf(never);
    const client = clientOf(await listen(0));
    const stopped = client.with({ signal: AbortSignal.abort() });
    expect((await failureOf(stopped.streams.hash([{ data: "x" }]).next())).code).toBe("CANCELLED");
    for (const [all, own] of [
      [AbortSignal.abort(), new AbortController().signal],
      [new AbortController().signal, AbortSignal.abort()],
    ] as const)
      expect((await failureOf(client.with({ signal: all }).datasets.takeCensus("crm", own))).code).toBe("CANCELLED");
  });

  it("leave the client's other calls alone, which share its connections", async () => {
    const { listen, connections } = await serverOf(good);
    const client = clientOf(await listen(0), { connections: 1 });
    expect(await client.with({ signal: new AbortController().signal }).decryptText("ks1:x")).toBe(plain);
    expect((await failureOf(client.with({ signal: AbortSignal.abort() }).decryptText("ks1:x"))).code).toBe("CANCELLED");
    expect(await client.decryptText("ks1:x")).toBe(plain);
    expect(connections()).toBe(1);
    const { decryptText } = client.with({});
    await client.close();
    expect((await failureOf(decryptText("ks1:x"))).code).toBe("CLOSED");
  });

  it("have a time-out and a number of repetitions of their own", async () => {
    const { listen, asked } = await serverOf(never, never, problem("OVERLOADED", 503), good);
    const client = clientOf(await listen(0), { clock: new TestClock() });
    const impatient = client.with({ timeout: 20, retries: 1 });
    expect((await failureOf(impatient.decryptText("ks1:x"))).message).toContain("(UND_ERR_HEADERS_TIMEOUT)");
    expect(asked).toHaveLength(2);
    expect((await failureOf(client.with({ retries: 0 }).decryptText("ks1:x"))).code).toBe("OVERLOADED");
    expect(await client.decryptText("ks1:x")).toBe(plain);
  });

  it("count what they wait for a connection, too, also one that is never made", async () => {
    const { listen, asked } = await serverOf(never);
    const url = await listen(0);
    const busy = clientOf(url, { connections: 1, retries: 0 });
    const controller = new AbortController();
    const first = failureOf(busy.with({ timeout: 60_000, signal: controller.signal }).hash("x"));
    await expect.poll(() => asked).toHaveLength(1);
    expect((await failureOf(busy.with({ timeout: 20 }).decryptText("ks1:x"))).message).toContain("(UND_ERR_HEADERS_TIMEOUT)");
    expect((await failureOf(busy.with({ signal: AbortSignal.timeout(20) }).decryptText("ks1:x"))).code).toBe("CANCELLED");
    controller.abort();
    expect((await first).code).toBe("CANCELLED");
    expect(asked).toHaveLength(1);
    // It takes connections, and says nothing in TLS.
    const mute = clientOf((await rawServer("")).replace("http:", "https:"), { timeout: 1_000, retries: 0 });
    expect((await failureOf(mute.with({ timeout: 20 }).decryptText("ks1:x"))).message).toContain("(UND_ERR_HEADERS_TIMEOUT)");
  });

  it("may wait longer than the client", async () => {
    const shortEnd = Promise.withResolvers<unknown>();
    const { listen } = await serverOf(async (response, request) => {
      if (request.url === "/v1/hash") {
        request.socket.once("close", shortEnd.resolve);
        return;
      }
      await shortEnd.promise;
      good(response, request);
    });
    const client = clientOf(await listen(0), { timeout: 20, retries: 0 });
    const short = failureOf(client.hash("x"));
    const long = client.with({ timeout: 60_000 }).decryptText("ks1:x");
    expect([(await short).code, await long]).toEqual(["SERVER_UNREACHABLE", plain]);
  });

  it("follow events that come more slowly than their time-out", async () => {
    const shortEnd = Promise.withResolvers<unknown>();
    const { listen } = await serverOf(async (response, request) => {
      if (request.url === "/v1/hash") {
        request.socket.once("close", shortEnd.resolve);
        return;
      }
      response.writeHead(200, { "content-type": "text/event-stream" }).write('data: {"job":1}\n\n');
      await shortEnd.promise;
      response.end('data: {"job":2}\n\n');
    });
    const calls = clientOf(await listen(0)).with({ timeout: 20, retries: 0 });
    const events = calls.backgroundJobs.watch("crm", new AbortController().signal);
    expect((await events.next()).value).toEqual({ job: 1 });
    expect((await failureOf(calls.hash("x"))).code).toBe("SERVER_UNREACHABLE");
    expect((await events.next()).value).toEqual({ job: 2 });
  });

  it("leave a job at work that its own signal does not pause", async () => {
    const job = { id: "j", dataset: "crm", kind: "protect", state: "running", dryRun: false, progress: {} };
    const started: Act = (response) => response.setHeader("content-type", "application/json").end(JSON.stringify(job));
    for (const isPaused of [false, true]) {
      const controller = new AbortController();
      const { server, listen, asked } = await serverOf(started, () => controller.abort(), good);
      const calls = clientOf(await listen(0)).with({ signal: controller.signal });
      const options = isPaused ? { signal: controller.signal } : {};
      expect((await failureOf(calls.datasets.protect("crm", options))).code).toBe("CANCELLED");
      if (isPaused && asked.length === 2) await once(server, "request");
      const paused = isPaused ? ["POST /v1/datasets/crm/job/pause"] : [];
      expect(asked).toEqual(["POST /v1/datasets/crm/protect", "GET /v1/datasets/crm/job/events", ...paused]);
    }
  });

  it("pause a job at its own signal, also when that comes while it is started", async () => {
    const job = { id: "j", dataset: "crm", kind: "protect", dryRun: false, progress: { problems: 0, firstProblems: [] } };
    const answer =
      (value: object): Act =>
      (response) =>
        response.setHeader("content-type", "application/json").end(JSON.stringify(value));
    for (const isBound of [false, true]) {
      const controller = new AbortController();
      const paused = Promise.withResolvers<unknown>();
      const { listen, asked } = await serverOf(async (response, request) => {
        if (request.url === "/v1/datasets/crm/protect") {
          controller.abort();
          answer({ ...job, state: "running" })(response, request);
        } else if (request.url === "/v1/datasets/crm/job/pause") {
          paused.resolve(undefined);
          answer({ ...job, state: "paused" })(response, request);
        } else {
          await paused.promise;
          const result = { ...job, state: "paused" };
          response.writeHead(200, { "content-type": "text/event-stream" }).end(`data: ${JSON.stringify({ job: result, result })}\n\n`);
        }
      });
      const client = clientOf(await listen(0));
      const calls = isBound ? client.with({ signal: controller.signal }) : client;
      const ended = calls.datasets.protect("crm", { signal: controller.signal });
      if (isBound) expect((await failureOf(ended)).code).toBe("CANCELLED");
      else expect((await ended).state).toBe("paused");
      await paused.promise;
      expect(asked[0]).toBe("POST /v1/datasets/crm/protect");
    }
  });

  it("refuse bounds that are none", async () => {
    const client = clientOf("http://127.0.0.1:1");
    const bind: unknown = Reflect.get(client, "with");
    if (typeof bind !== "function") throw new Error("calls can't be bound");
    for (const bounds of [{ timeout: 0 }, { timeout: 86_400_001 }, { retries: 11 }, { retries: 0.5 }, { signal: {} }, { wait: 1 }, 5])
      expect(await codeOf(async () => Reflect.apply(bind, client, [bounds]))).toBe("INVALID_ARGUMENT");
  });
});
