import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { isProblem } from "../../src/keys/data-acts.ts";
import { heapInUse } from "../support/heap-in-use.ts";
import { codeOf } from "../support/test-keystead.ts";
import { callerNamed, clientsOf, type ServedEngine, serveEngine } from "../server/support/served-engine.ts";

/** A client of a served engine with a key, whose caller may do what the roles say. */
async function clientWith(...roles: readonly string[]) {
  const served = await serveEngine({ carl: callerNamed("carl", ...roles) });
  await served.keystead.keys.create({ name: "k", purpose: "pii" });
  await served.keystead.keys.create({ name: "m", purpose: "pii", usage: "mac" });
  return { keystead: served.keystead, client: (await clientsOf(served))("carl") };
}

/** A server that answers as a test wants. */
async function strangeServer(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<KeysteadClient> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const client = new KeysteadClient({ url: `http://127.0.0.1:${String(port)}`, token: "x", retries: 0 });
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await client.close();
  });
  return client;
}

async function collected<T>(answers: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const answer of answers) found.push(answer);
  return found;
}

function* hashes(count: number): Generator<{ readonly data: string }> {
  for (let at = 0; at < count; at += 1) yield { data: String(at) };
}

const line = `${JSON.stringify({ hash: "AA==" })}\n`;

describe("a stream of items", () => {
  it("gives for each in order what it became, or the problem with it", async () => {
    const { keystead, client } = await clientWith("admin", "encryptor", "decryptor", "signer");
    const context = { row: "1" };
    const sealed = await collected(
      client.streams.encrypt([
        { target: "k", plaintext: "anna", context },
        { target: "none", plaintext: "x" },
        { target: "k", plaintext: Uint8Array.of(0, 255) },
        { target: "k", value: 7n },
      ]),
    );
    expect(sealed.map((item) => (isProblem(item) ? item.problem.code : item.slice(0, 8)))).toEqual([
      "ks1:k:1-",
      "UNKNOWN_KEY",
      "ks1:k:1-",
      "ks1:k:1-",
    ]);
    const [anna = "", , bytes = "", typed = ""] = sealed.map((item) => (isProblem(item) ? "" : item));
    await keystead.keys.rotate("k");
    const moved = await collected(client.streams.rewrap([{ ciphertext: anna, context }, { ciphertext: anna }]));
    expect(moved).toMatchObject([expect.stringMatching(/^ks1:k:2-/), { problem: { code: "DECRYPTION_FAILED" } }]);
    const items = [{ ciphertext: anna, context }, { ciphertext: bytes }, { ciphertext: typed, typed: true }, { ciphertext: "no" }];
    expect(await collected(client.streams.decrypt(items))).toMatchObject([
      { plaintext: Buffer.from("anna") },
      { plaintext: Buffer.from([0, 255]) },
      { value: 7n },
      { problem: { code: "MALFORMED_CIPHERTEXT" } },
    ]);
    const [tag] = await collected(client.streams.mac([{ target: "m", data: "x" }]));
    if (typeof tag !== "string") throw new Error("no tag");
    expect(await collected(client.streams.verifyMac(["x", "y"].map((data) => ({ target: "m", data, tag }))))).toEqual([true, false]);
    expect(await collected(client.streams.randomBytes([{ bytes: 4 }]))).toMatchObject([{ length: 4 }]);
    expect(await collected(client.streams.hash([]))).toEqual([]);
  });

  it("takes any number, from what makes them as they are taken, and no faster", async () => {
    const { client } = await clientWith("admin", "signer", "encryptor");
    let made = 0;
    async function* endless(): AsyncGenerator<{ readonly target: string; readonly plaintext: string }> {
      for (;;) {
        made += 1;
        yield { target: "k", plaintext: "x".repeat(50_000) };
      }
    }
    const answers = client.streams.encrypt(endless());
    await answers.next();
    // Nobody takes answers: the buffers of the kernel and of both sides fill, then all stand still.
    let before = -1;
    while (made !== before && made < 2_000) {
      before = made;
      for (let turn = 0; turn < 30; turn += 1) await client.hash("x");
    }
    expect(made).toBeLessThan(2_000);
    await answers.return(undefined);
    // What is behind is not kept.
    const used = heapInUse();
    let taken = 0;
    for await (const _ of client.streams.encrypt(endless())) {
      if (++taken < 6_000) continue;
      expect(heapInUse() - used).toBeLessThan(100_000_000);
      break;
    }
    expect((await collected(client.streams.hash(hashes(5_000)))).length).toBe(5_000);
  }, 180_000);

  it("answers before the next item is there", async () => {
    const { client } = await clientWith("admin", "signer");
    const waiting = Promise.withResolvers<undefined>();
    async function* slow(): AsyncGenerator<{ readonly data: string }> {
      yield { data: "a" };
      await waiting.promise;
      yield { data: "b" };
    }
    const answers = client.streams.hash(slow());
    expect(await answers.next()).toMatchObject({ done: false });
    waiting.resolve(undefined);
    expect(await answers.next()).toMatchObject({ done: false });
    expect(await answers.next()).toMatchObject({ done: true });
  });

  it("ends with its loop, its signal and its source", async () => {
    const { client } = await clientWith("admin", "signer");
    const ends: string[] = [];
    async function* watched(): AsyncGenerator<{ readonly data: string }> {
      try {
        for (;;) {
          // Client and server share a process here, and neither is to starve the other.
          await setImmediate();
          yield { data: "x" };
        }
      } finally {
        ends.push("ended");
      }
    }
    for await (const answer of client.streams.hash(watched())) {
      expect(Buffer.isBuffer(answer)).toBe(true);
      break;
    }
    const controller = new AbortController();
    const stopped = client.streams.hash(watched(), { signal: controller.signal });
    await stopped.next();
    controller.abort();
    expect(await codeOf(collected(stopped))).toBe("CANCELLED");
    await expect.poll(() => ends.length).toBe(2);
    const failing = async function* (): AsyncGenerator<{ readonly data: string }> {
      yield { data: "x" };
      throw new Error("the source is broken");
    };
    await expect(collected(client.streams.hash(failing()))).rejects.toThrow("the source is broken");
    await expect(collected(client.streams.encrypt([{ target: "k", plaintext: "a\ud800" }]))).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
    const untyped: (...args: unknown[]) => unknown = (...args) => Reflect.apply(client.streams.hash, undefined, args);
    const wrong = untyped(7);
    if (typeof wrong !== "object" || wrong === null || !("next" in wrong) || typeof wrong.next !== "function") throw new Error("no stream");
    expect(await codeOf(Promise.resolve(Reflect.apply(wrong.next, wrong, [])))).toBe("INVALID_ARGUMENT");
    // Connections are whole again after all that.
    expect(await collected(client.streams.hash(hashes(3)))).toHaveLength(3);
  });

  it("is refused as a call is", async () => {
    const served = await serveEngine({ carl: callerNamed("carl", "encryptor") });
    await served.keystead.keys.create({ name: "k", purpose: "pii" });
    const client = (await clientsOf(served))("carl");
    expect(await collected(client.streams.decrypt([{ ciphertext: await served.keystead.encrypt("k", "x") }]))).toMatchObject([
      { problem: { code: "ACCESS_DENIED" } },
    ]);
    const stranger = clientOf("nobody", served);
    expect(await codeOf(collected(stranger.streams.encrypt([{ target: "k", plaintext: "x" }])))).toBe("UNAUTHENTICATED");
  });
});

/** Another client of a server that listens already. */
function clientOf(token: string, { server }: ServedEngine): KeysteadClient {
  const address = server.server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const client = new KeysteadClient({ url: `http://127.0.0.1:${String(port)}`, token, retries: 0 });
  onTestFinished(() => client.close());
  return client;
}

describe("a stream that does not come to its end", () => {
  const outcome = async (answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<[number, string]> => {
    const client = await strangeServer(answer);
    let count = 0;
    const code = await codeOf(
      (async () => {
        for await (const _ of client.streams.hash(hashes(3))) count += 1;
      })(),
    );
    return [count, code];
  };
  /** Answers once everything was read. */
  const after =
    (write: (response: ServerResponse) => void) =>
    (request: IncomingMessage, response: ServerResponse): void => {
      request.resume().once("end", () => write(response.writeHead(200, { "content-type": "application/x-ndjson" })));
    };

  it("is an error, whichever way it was cut off, behind what was answered", async () => {
    expect(await outcome(after((response) => response.end(line.repeat(3))))).toEqual([3, "no error"]);
    // The connection is gone in the middle.
    expect(await outcome(after((response) => response.write(line, () => void setImmediate().then(() => response.destroy()))))).toEqual([
      1,
      "SERVER_UNREACHABLE",
    ]);
    // It ends as if it were whole.
    expect(await outcome(after((response) => response.end(line.repeat(2))))).toEqual([2, "SERVER_UNREACHABLE"]);
    expect(await outcome(after((response) => response.end(`${line.repeat(2)}${line.slice(0, -1)}`)))).toEqual([2, "SERVER_UNREACHABLE"]);
    expect(await outcome(after((response) => response.end(`${line.repeat(2)}{"hash":"A`)))).toEqual([2, "SERVER_UNREACHABLE"]);
    expect(await outcome(after((response) => response.end()))).toEqual([0, "SERVER_UNREACHABLE"]);
  });

  it("is an error when the server says more, or something else", async () => {
    expect(await outcome(after((response) => response.end(line.repeat(4))))).toEqual([3, "INTERNAL"]);
    expect(await outcome(after((response) => response.end(`${line}<html>\n`)))).toEqual([1, "INTERNAL"]);
    expect(await outcome(after((response) => response.end(`${line}null\n`)))).toEqual([1, "INTERNAL"]);
    expect(await outcome(after((response) => response.end(`${line}{}\n`)))).toEqual([1, "INTERNAL"]);
    const problem = { code: "STORE_BUSY", status: 503, detail: "the store is busy; try again" };
    expect(await outcome(after((response) => response.end(`${line}${JSON.stringify({ streamProblem: problem })}\n`)))).toEqual([
      1,
      "STORE_BUSY",
    ]);
  });

  it("is an error when the server ends before it has read all", async () => {
    const client = await strangeServer((_, response) => {
      response.writeHead(200, { "content-type": "application/x-ndjson", connection: "close" });
      response.end(line);
    });
    const waiting = Promise.withResolvers<undefined>();
    onTestFinished(() => waiting.resolve(undefined));
    async function* slow(): AsyncGenerator<{ readonly data: string }> {
      yield { data: "a" };
      await waiting.promise;
    }
    expect(await codeOf(collected(client.streams.hash(slow())))).toBe("SERVER_UNREACHABLE");
  });
});

describe("events", () => {
  it("that are cut off are an error of their own", async () => {
    const client = await strangeServer((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: {}\n\n", () => void setImmediate().then(() => response.destroy()));
    });
    expect(await codeOf(collected(client.backgroundJobs.watch("crm", new AbortController().signal)))).toBe("SERVER_UNREACHABLE");
  });
});
