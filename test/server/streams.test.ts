import { describe, expect, it, onTestFinished, vi } from "vitest";
import { canaries } from "../setup/canary.ts";
import { RawConnection, requestText, startTestServer } from "./support/test-server.ts";

const ndjson = { "Content-Type": "application/x-ndjson", "Transfer-Encoding": "chunked" };

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

/** The lines of an answer in chunks. */
function linesOf(received: string): unknown[] {
  const body = received.slice(received.indexOf("\r\n\r\n") + 4);
  return body
    .split("\r\n")
    .flatMap((part) => part.split("\n"))
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as unknown);
}

describe("a stream of lines", () => {
  it("is answered line by line, while more are on their way", async () => {
    const server = await startTestServer();
    const connection = new RawConnection(server.port).send(requestText("POST", "/v1/lines", ndjson));
    connection.send(chunk('{"text":"one"}\n{"te'));
    expect(await connection.until('"one"')).toContain("application/x-ndjson");
    connection.send(chunk('xt":"two"}\r\n\n'));
    await connection.until('"two"');
    connection.send(`${chunk('{"text":"three"}')}0\r\n\r\n`);
    expect(linesOf(await connection.all())).toEqual([{ said: "one" }, { said: "two" }, { said: "three" }]);
  });

  it("goes on after a line that is wrong", async () => {
    const server = await startTestServer();
    const text = '{"text":"one"}\n{\n{"text":5}\n{"text":"four"}\n{"text":"five","more":1}\n5\n';
    const received = await new RawConnection(server.port)
      .send(`${requestText("POST", "/v1/lines", { ...ndjson, Connection: "close" })}${chunk(text)}0\r\n\r\n`)
      .all();
    expect(linesOf(received)).toEqual([
      { said: "one" },
      { code: "INVALID_ARGUMENT", detail: "line 2 is not JSON; correct it" },
      { code: "INVALID_ARGUMENT", detail: "line 3: text: must be text" },
      { said: "four" },
      { code: "INVALID_ARGUMENT", detail: 'line 5: has no field "more"; correct or remove it' },
      { code: "INVALID_ARGUMENT", detail: "line 6: must be an object" },
    ]);
  });

  it("leaves out empty lines, which count in the numbers of those behind them", async () => {
    const server = await startTestServer();
    const send = (text: string): Promise<string> =>
      new RawConnection(server.port)
        .send(`${requestText("POST", "/v1/lines", { ...ndjson, Connection: "close" })}${chunk(text)}0\r\n\r\n`)
        .all();
    expect(linesOf(await send('\n\r\n{"text":"one"}\n\n{\n\n\n \n{"text":"two"}\n\n'))).toEqual([
      { said: "one" },
      { code: "INVALID_ARGUMENT", detail: "line 5 is not JSON; correct it" },
      { code: "INVALID_ARGUMENT", detail: "line 8 is not JSON; correct it" },
      { said: "two" },
    ]);
    expect(linesOf(await send("\n\n"))).toEqual([]);
  });

  it("that fails at once is answered with a problem, and later ends with one", async () => {
    const server = await startTestServer();
    const send = (text: string): Promise<string> =>
      new RawConnection(server.port)
        .send(`${requestText("POST", "/v1/lines", { ...ndjson, Connection: "close" })}${chunk(text)}0\r\n\r\n`)
        .all();
    expect(await send('{"text":"fail"}\n')).toContain("HTTP/1.1 503");
    expect(linesOf(await send('{"text":"one"}\n{"text":"fail"}\n{"text":"three"}\n'))).toMatchObject([
      { said: "one" },
      { streamProblem: { code: "STORE_BUSY", status: 503 } },
    ]);
    const broken = await send('{"text":"one"}\n{"text":"break"}\n');
    expect(linesOf(broken)).toMatchObject([{ said: "one" }, { streamProblem: { code: "INTERNAL" } }]);
    expect(broken).not.toContain(canaries.email.text);
    // Two that ended with a problem after a good status, one that began with a bad one; and what went wrong inside.
    const told = (what: string): unknown[] =>
      server.logged
        .map((line) => JSON.parse(line) as { readonly msg: string; readonly status?: number })
        .filter(({ msg }) => msg === what)
        .map(({ status }) => status);
    // The client may have the end of an answer before the server tells of it.
    await expect.poll(() => told("request")).toEqual([503, 200, 200]);
    expect(told("failed")).toHaveLength(1);
  });

  it("has a limit for a line, and for how long it takes", async () => {
    const server = await startTestServer({ settings: { limits: { lineBytes: 1_024, bodyMilliseconds: 200 } } });
    const begin = (): RawConnection =>
      new RawConnection(server.port).send(requestText("POST", "/v1/lines", ndjson)).send(chunk('{"text":"one"}\n'));
    const long = begin().send(chunk("x".repeat(2_000)));
    expect(linesOf(await long.all())).toMatchObject([{ said: "one" }, { streamProblem: { code: "TOO_LARGE" } }]);
    const slow = begin();
    expect(linesOf(await slow.all())).toMatchObject([{ said: "one" }, { streamProblem: { code: "REQUEST_TIMEOUT" } }]);
  });

  it("is not taken as JSON, nor JSON as a stream", async () => {
    const server = await startTestServer();
    const answer = await new RawConnection(server.port).send(requestText("POST", "/v1/lines", {}, "{}")).answer();
    expect(answer).toMatchObject({ status: 415 });
    expect(server.refusals).toMatchObject([{ code: "UNSUPPORTED_MEDIA_TYPE" }]);
  });

  it("is read no faster than its answers are", async () => {
    const server = await startTestServer();
    const connection = new RawConnection(server.port);
    connection.socket.pause();
    connection.send(requestText("POST", "/v1/lines", ndjson));
    const line = chunk(`${JSON.stringify({ text: "x".repeat(60_000) })}\n`);
    let sent = 0;
    // The kernel's buffers fill up, then the server's and the client's: writing stops.
    while (sent < 2_000 && connection.socket.writableLength < 10_000_000) {
      connection.send(line);
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBeLessThan(2_000);
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(200_000_000);
  });
});

it("a line that is whole is no longer than it may be", async () => {
  const server = await startTestServer({ settings: { limits: { lineBytes: 1_024 } } });
  const headers = { "Content-Type": "application/x-ndjson" };
  const line = (length: number): string => `${JSON.stringify({ text: "x".repeat(length - 11) })}\n`;
  const send = (length: number): Promise<string> =>
    new RawConnection(server.port).send(requestText("POST", "/v1/lines", { ...headers, Connection: "close" }, line(length))).all();
  expect(await send(1_024)).toContain("said");
  expect(await send(1_025)).toContain("413");
});

describe("events", () => {
  it("are sent as they happen, and end with their source", async () => {
    const server = await startTestServer();
    const connection = new RawConnection(server.port).send(requestText("GET", "/v1/events", { Accept: "text/event-stream" }));
    server.send({ done: 1 });
    expect(await connection.until('data: {"done":1}\n\n')).toContain("text/event-stream");
    server.send({ done: 2 });
    await connection.until('data: {"done":2}\n\n');
    server.send(undefined);
    await connection.until("0\r\n\r\n");
  });

  it("end when the client goes away", async () => {
    const server = await startTestServer();
    const connection = new RawConnection(server.port).send(requestText("GET", "/v1/events"));
    server.send({ done: 1 });
    await connection.until("done");
    connection.socket.destroy();
    await server.aborted;
  });

  it("end when the server does", async () => {
    const server = await startTestServer();
    const connection = new RawConnection(server.port).send(requestText("GET", "/v1/events"));
    server.send({ done: 1 });
    await connection.until("done");
    const closed = server.server.close();
    await server.aborted;
    expect(await connection.all()).toContain("0\r\n\r\n");
    await closed;
  });

  it("end also when they are asked for in the moment in which the server ends", async () => {
    const { server, port } = await startTestServer();
    const closed = Promise.withResolvers<undefined>();
    server.server.once("request", () => {
      void server.close().then(closed.resolve, closed.reject);
    });
    const connection = new RawConnection(port).send(requestText("GET", "/v1/events"));
    expect(await connection.all()).toContain("200 OK");
    await closed.promise;
  });

  it("begin and go on with a comment while nothing happens", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const server = await startTestServer();
    const connection = new RawConnection(server.port).send(requestText("GET", "/v1/events"));
    // Answered only after the server has begun with the events.
    await new RawConnection(server.port).send(requestText("GET", "/livez")).answer();
    vi.advanceTimersByTime(15_000);
    expect(await connection.until(": still there\n\n")).toContain("200 OK");
    server.send({ done: 1 });
    await connection.until('data: {"done":1}');
  });

  it("are so many at once", async () => {
    const lines = { "Content-Type": "application/x-ndjson", Connection: "close" };
    const server = await startTestServer({ settings: { limits: { streams: 1 } } });
    const first = new RawConnection(server.port).send(requestText("GET", "/v1/events"));
    server.send({ done: 1 });
    await first.until("done");
    expect(await new RawConnection(server.port).send(requestText("GET", "/v1/events")).answer()).toMatchObject({ status: 503 });
    // Its place is free once it ended.
    server.send(undefined);
    await first.until("0\r\n\r\n");
    const second = await new RawConnection(server.port).send(requestText("POST", "/v1/lines", lines, "{}")).answer();
    expect(second?.status).not.toBe(503);
  });
});
