import { describe, expect, it } from "vitest";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { systemClock } from "../../src/clock.ts";
import { KeysteadError } from "../../src/errors.ts";
import { freePort } from "../support/free-port.ts";
import { SleepyClock } from "../support/sleepy-clock.ts";
import { TestClock } from "../support/test-clock.ts";
import { codeOf } from "../support/test-keystead.ts";
import { type Act, clientOf, failureOf, good, plain, problem, rawServer, serverOf, token } from "./support/acting-server.ts";

const proxied =
  (status: number): Act =>
  (response) =>
    response.writeHead(status, { "content-type": "text/html" }).end("<html>");
/** Writes to the connection itself, then ends it. */
const cutAfter =
  (written: string): Act =>
  ({ socket }) =>
    socket?.end(written);
const begun = `{"text":"${plain}`;

/** Ways in which a call is lost, and the code of it. */
const losses: Readonly<Record<string, readonly [Act, string]>> = {
  "a reset before the answer": [({ socket }) => socket?.resetAndDestroy(), "SERVER_UNREACHABLE"],
  "an end before the answer": [({ socket }) => socket?.end(), "SERVER_UNREACHABLE"],
  "a cut in the head": [cutAfter("HTTP/1.1 200 OK\r\ncontent-le"), "SERVER_UNREACHABLE"],
  "a cut behind the head": [cutAfter("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n"), "SERVER_UNREACHABLE"],
  "a cut in an answer of a known length": [cutAfter(`HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n${begun}`), "SERVER_UNREACHABLE"],
  "a cut between chunks": [
    cutAfter(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${Buffer.byteLength(begun).toString(16)}\r\n${begun}\r\n`),
    "SERVER_UNREACHABLE",
  ],
  "a cut in an answer that the end of the connection ends": [cutAfter(`HTTP/1.1 200 OK\r\n\r\n${begun}`), "SERVER_UNREACHABLE"],
  "a reset in the answer": [
    (response) => {
      response.writeHead(200, { "content-length": 900 });
      response.write(begun, () => response.socket?.resetAndDestroy());
    },
    "SERVER_UNREACHABLE",
  ],
  "a cut in a problem": [cutAfter('HTTP/1.1 503 Busy\r\ncontent-length: 90\r\n\r\n{"code":"STORE_BUSY"'), "SERVER_UNREACHABLE"],
  "a server that is busy": [problem("OVERLOADED", 503), "OVERLOADED"],
  "too many calls": [problem("RATE_LIMITED", 429), "RATE_LIMITED"],
  "a proxy without its server": [proxied(502), "SERVER_UNREACHABLE"],
  "a proxy that is told to wait": [proxied(503), "SERVER_UNREACHABLE"],
  "a proxy that waited in vain": [proxied(504), "SERVER_UNREACHABLE"],
  "a proxy that limits calls": [proxied(429), "RATE_LIMITED"],
};

describe.each(Object.entries(losses))("a call that meets %s", (_, [act, code]) => {
  it("is sent again if it may be, after a pause that grows, as often as it was said", async () => {
    const clock = new TestClock();
    const once = await serverOf(act, act, good);
    const client = clientOf(await once.listen(0), { clock });
    expect(await client.decryptText("ks1:x")).toBe(plain);
    expect(once.asked).toEqual(Array(3).fill("POST /v1/decrypt"));
    expect(clock.monotonic()).toBe(300);
    const always = await serverOf(act);
    const failure = await failureOf(clientOf(await always.listen(0), { clock, retries: 3 }).decryptText("ks1:x"));
    expect(failure.code).toBe(code);
    expect(failure.message).not.toContain("may have");
    expect([always.asked.length, clock.monotonic()]).toEqual([4, 300 + 700]);
  });

  it("is sent once when it must not be repeated", async () => {
    const { asked, listen } = await serverOf(act, good);
    const failure = await failureOf(clientOf(await listen(0)).keys.rotate("k"));
    expect(failure.code).toBe(code);
    expect(asked).toEqual(["POST /v1/keys/k/rotate"]);
  });
});

describe("a call", () => {
  it("that finds nobody is sent again, and its error says so", async () => {
    const clock = new SleepyClock();
    const port = await freePort();
    const { listen, asked } = await serverOf(good);
    clock.onWait = () => listen(port);
    expect(await clientOf(`http://127.0.0.1:${String(port)}`, { clock }).decryptText("ks1:x")).toBe(plain);
    expect(asked).toHaveLength(1);
    const nobody = clientOf(`http://127.0.0.1:${String(await freePort())}`, { clock });
    const calls = [() => nobody.decryptText("ks1:x"), () => nobody.keys.rotate("k")];
    for (const call of calls) {
      expect((await failureOf(call())).message).toBe(
        "the server did not answer (ECONNREFUSED); check its address, its certificate and the network",
      );
    }
  });

  it("that may have been carried out is told so", async () => {
    const { listen } = await serverOf(({ socket }) => socket?.end());
    const client = clientOf(await listen(0));
    expect((await failureOf(client.keys.rotate("k"))).message).toMatch(/; it may have done what it was asked: look before you ask again$/);
  });

  it("waits as long as the server asks, and not for what takes longer than 10 s", async () => {
    const clock = new TestClock();
    const patient = await serverOf(
      problem("OVERLOADED", 503, { "retry-after": "3" }),
      problem("RATE_LIMITED", 429, { "retry-after": "10" }),
      good,
    );
    expect(await clientOf(await patient.listen(0), { clock }).decryptText("ks1:x")).toBe(plain);
    expect(clock.monotonic()).toBe(13_000);
    const long = await serverOf(problem("RATE_LIMITED", 429, { "retry-after": "41" }), good);
    const failure = await failureOf(clientOf(await long.listen(0), { clock }).decryptText("ks1:x"));
    expect(failure).toMatchObject({ code: "RATE_LIMITED", message: "not now (Retry-After: 41 s)" });
    expect([long.asked.length, clock.monotonic()]).toEqual([1, 13_000]);
    // What is no number of seconds counts as none.
    for (const said of ["", "-5", "Infinity", "Wed, 21 Oct 2099 07:28:00 GMT"]) {
      const { listen } = await serverOf(problem("OVERLOADED", 503, { "retry-after": said }), good);
      const before = clock.monotonic();
      await clientOf(await listen(0), { clock }).decryptText("ks1:x");
      expect(clock.monotonic() - before).toBe(100);
    }
  });

  it("is not sent again when the server says what is wrong with it", async () => {
    const { listen, asked } = await serverOf(problem("UNKNOWN_KEY", 404, { "retry-after": "1" }));
    expect((await failureOf(clientOf(await listen(0)).decryptText("ks1:x"))).code).toBe("UNKNOWN_KEY");
    expect(asked).toHaveLength(1);
  });

  it.each([
    ["HTML", "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>"],
    ["text that begins as a value", `HTTP/1.1 200 OK\r\ncontent-length: ${String(Buffer.byteLength(plain) + 1)}\r\n\r\n"${plain}`],
    ["a list", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"],
    ["nothing", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"],
    ["a redirection", "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n"],
    ["an error without a problem", "HTTP/1.1 500 Oh\r\ncontent-length: 6\r\n\r\n<html>"],
  ])("that is answered with %s fails as no Keystead server's", async (_, answer) => {
    const failure = await failureOf(clientOf(await rawServer(answer)).decryptText("ks1:x"));
    expect(failure.code).toBe("INTERNAL");
    expect(failure.message).toMatch(/is it a Keystead server\?$/);
  });

  it.each([
    ["in the head", `HTTQ ${plain}\r\n\r\n`],
    ["between chunks", `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\nzz ${plain}\r\n`],
  ])("that is answered with what is no HTTP %s does not show it", async (_, answer) => {
    const failure = await failureOf(clientOf(await rawServer(answer), { clock: new TestClock() }).decryptText("ks1:x"));
    expect(failure.code).toBe("SERVER_UNREACHABLE");
    expect(failure.message).toContain("(what came is no HTTP)");
  });
});

describe("a server that says nothing", () => {
  const impatient = { timeout: 20, retries: 0 } as const;

  it("for long is not asked again: it may still be at it, and its caller has waited", async () => {
    const clock = new TestClock();
    const lostAfter =
      (milliseconds: number): Act =>
      ({ socket }) => {
        clock.advance(milliseconds);
        socket?.destroy();
      };
    const slow = await serverOf(lostAfter(10_001), good);
    expect((await failureOf(clientOf(await slow.listen(0), { clock }).decryptText("ks1:x"))).code).toBe("SERVER_UNREACHABLE");
    expect(slow.asked).toHaveLength(1);
    const quick = await serverOf(lostAfter(10_000), good);
    expect(await clientOf(await quick.listen(0), { clock }).decryptText("ks1:x")).toBe(plain);
  });

  it("before the head, behind it, and when it is to say who it is", async () => {
    const silent = await rawServer("");
    expect((await failureOf(clientOf(silent, impatient).decryptText("ks1:x"))).message).toContain("(UND_ERR_HEADERS_TIMEOUT)");
    expect((await failureOf(clientOf(silent, impatient).keys.rotate("k"))).message).toContain("it may have done what it was asked");
    const halting = await rawServer("HTTP/1.1 200 OK\r\ncontent-length: 90\r\n\r\n{");
    expect((await failureOf(clientOf(halting, impatient).decryptText("ks1:x"))).message).toContain("(UND_ERR_BODY_TIMEOUT)");
    const secret = await failureOf(clientOf(silent.replace("http:", "https:"), impatient).keys.rotate("k"));
    expect(secret.message).toMatch(/\(UND_ERR_CONNECT_TIMEOUT\); check its address, its certificate and the network$/);
  });

  it("is asked again, and keeps neither connections nor calls from going on", async () => {
    const { listen, asked, connections } = await serverOf(() => undefined, good);
    const client = clientOf(await listen(0), { timeout: 20, connections: 1, clock: new TestClock() });
    expect(await client.decryptText("ks1:x")).toBe(plain);
    expect([asked.length, connections()]).toEqual([2, 2]);
  });
});

describe("a caller that stops its call", () => {
  it("before it began is not heard of by the server, nor is the token asked for", async () => {
    const { listen, connections } = await serverOf(good);
    let tokens = 0;
    const client = clientOf(await listen(0), { token: () => `t${String((tokens += 1))}` });
    expect((await failureOf(client.datasets.takeCensus("crm", AbortSignal.abort()))).code).toBe("CANCELLED");
    expect([connections(), tokens]).toEqual([0, 0]);
  });

  it("while the token is fetched does not wait for it", async () => {
    const controller = new AbortController();
    const never = new Promise<string>(() => undefined);
    const client = clientOf("http://127.0.0.1:1", {
      token: () => {
        controller.abort();
        return never;
      },
    });
    expect((await failureOf(client.datasets.takeCensus("crm", controller.signal))).code).toBe("CANCELLED");
  });

  it("before the answer, in it, and between two of them is told at once, and nothing is sent again", async () => {
    const acts: Readonly<Record<string, (stop: () => void) => Act>> = {
      before: (stop) => stop,
      within: (stop) => (response) => response.writeHead(200, { "content-length": 90 }).write("{", () => setImmediate(stop)),
      between: () => problem("OVERLOADED", 503, { "retry-after": "10" }),
    };
    for (const act of Object.values(acts)) {
      const controller = new AbortController();
      const clock = Object.assign(new TestClock(), {
        wait: (_: number, signal?: AbortSignal): Promise<void> => {
          const waited = systemClock.wait(3_600_000, signal);
          controller.abort(new Error("enough"));
          return waited;
        },
      });
      const { listen, asked } = await serverOf(
        act(() => controller.abort(new Error("enough"))),
        good,
      );
      const client = clientOf(await listen(0), { clock });
      expect((await failureOf(client.datasets.takeCensus("crm", controller.signal))).code).toBe("CANCELLED");
      expect(asked).toHaveLength(1);
      // The client goes on.
      expect(await client.decryptText("ks1:x")).toBe(plain);
    }
  });
});

describe("connections that are kept", () => {
  it("serve the next call, and are replaced when the server closed them in between", async () => {
    const { server, listen, connections } = await serverOf(good);
    const url = await listen(0);
    const single = clientOf(url, { connections: 1 });
    for (let call = 0; call < 5; call += 1) await single.decryptText("ks1:x");
    expect(connections()).toBe(1);
    const client = clientOf(url);
    // All at once, so that several are kept; then the end of none has arrived when the next call is sent.
    await Promise.all(Array.from({ length: 4 }, () => client.decryptText("ks1:x")));
    const before = connections();
    expect(before).toBeGreaterThan(2);
    server.closeIdleConnections();
    expect(await Promise.all(Array.from({ length: 4 }, () => client.decryptText("ks1:x")))).toEqual(Array(4).fill(plain));
    expect(await single.decryptText("ks1:x")).toBe(plain);
    expect(connections()).toBeGreaterThan(before);
  });

  it("that the server closes when the next call arrives don't fail an export either, which then comes once", async () => {
    const { listen, asked, connections } = await serverOf(
      good,
      ({ socket }) => socket?.resetAndDestroy(),
      (response) => response.writeHead(200, { "content-type": "application/x-ndjson" }).end(""),
    );
    const client = clientOf(await listen(0), { clock: new TestClock() });
    await client.decryptText("ks1:x");
    // An export without a line is no whole one; it is the answer, and not asked for again.
    const failure = await failureOf(client.audit.export({}, () => undefined));
    expect(failure.message).not.toContain("did not answer");
    expect([asked.length, connections()]).toEqual([3, 2]);
  });
});

describe("a client", () => {
  it("that is closed says so, at once, and can be closed again", async () => {
    const clock = new TestClock();
    const { listen } = await serverOf(good);
    const client = clientOf(await listen(0), { clock });
    await client.decryptText("ks1:x");
    await Promise.all([client.close(), client.close()]);
    await client.close();
    expect(await failureOf(client.decryptText("ks1:x"))).toMatchObject({
      code: "CLOSED",
      message: "the client is closed; make another one",
    });
    expect(clock.monotonic()).toBe(0);
  });

  it("that is closed while a call waits to be sent again ends it", async () => {
    const clock = new SleepyClock();
    const { listen, asked } = await serverOf(problem("OVERLOADED", 503), good);
    const client = clientOf(await listen(0), { clock });
    clock.onWait = () => client.close();
    expect((await failureOf(client.decryptText("ks1:x"))).code).toBe("CLOSED");
    expect(asked).toHaveLength(1);
  });

  it("whose token can't be had does not blame the server, and asks for it once", async () => {
    const { listen, asked } = await serverOf(good);
    const url = await listen(0);
    const clock = new TestClock();
    const given: readonly [() => unknown, string][] = [
      [() => Promise.reject(new Error("no vault")), "UNAUTHENTICATED"],
      [
        () => {
          throw new Error("no vault");
        },
        "UNAUTHENTICATED",
      ],
      [() => Promise.reject(new KeysteadError("KEK_FAILED", "no KEK")), "KEK_FAILED"],
      [() => `${token}\n`, "INVALID_ARGUMENT"],
      [() => undefined, "INVALID_ARGUMENT"],
    ];
    for (const [give, code] of given) {
      let tokens = 0;
      const options = { clock, token: () => ((tokens += 1), give()) };
      const client: unknown = Reflect.construct(KeysteadClient, [{ url, ...options }]);
      if (!(client instanceof KeysteadClient)) throw new Error("no client");
      expect((await failureOf(client.decryptText("ks1:x"))).code).toBe(code);
      expect((await failureOf(Array.fromAsync(client.streams.hash([{ data: "x" }])))).code).toBe(code);
      expect(tokens).toBe(2);
      await client.close();
    }
    expect([asked.length, clock.monotonic()]).toEqual([0, 0]);
  });

  it.each([
    ["timeout", [0, -1, Number.NaN, 1.5, Infinity, 86_400_001, "1"]],
    ["retries", [-1, Number.NaN, 0.5, Infinity, 11]],
    ["connections", [0, -1, 1.5, Number.NaN, 1_001]],
    ["token", [7, null, undefined]],
    ["url", [7, undefined, null]],
    ["retrys", [1]],
  ])("is not made with a wrong %s", async (name, values) => {
    for (const value of values) {
      const made = (): unknown => Reflect.construct(KeysteadClient, [{ url: "http://127.0.0.1:1", token, [name]: value }]);
      expect(await codeOf(made)).toBe("INVALID_ARGUMENT");
    }
  });
});
