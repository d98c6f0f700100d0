import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Authenticator } from "../../src/access/authenticator.ts";
import type { Route } from "../../src/api/route.ts";
import { usual } from "../../src/api/route-row.ts";
import { canaries } from "../setup/canary.ts";
import { TestClock } from "../support/test-clock.ts";
import { RawConnection, requestText, startTestServer, type TestServer, tokens } from "./support/test-server.ts";

const hello = JSON.stringify({ text: "hello" });

/** Sends bytes and expects them to be answered with a problem, after which the connection is closed or goes on. */
async function problemFor(server: TestServer, text: string): Promise<{ readonly status: number; readonly code: unknown }> {
  const answer = await new RawConnection(server.port).send(text).answer();
  const body: unknown = JSON.parse(answer?.body ?? "{}");
  expect(answer?.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
  expect(answer?.body).not.toMatch(/ {4}at |node:|\.ts|stack/);
  return { status: answer?.status ?? 0, code: typeof body === "object" && body !== null && "code" in body ? body.code : undefined };
}

describe("a request that is not well-formed HTTP", () => {
  it.each([
    ["HTTP/0.9", "GET /livez\r\n\r\n"],
    ["no HTTP", "hello\r\n\r\n"],
    ["another version", "GET /livez HTTP/3.7\r\nHost: a\r\n\r\n"],
    [
      "length and chunks",
      requestText("POST", "/v1/echo", { "Content-Type": "application/json", "Content-Length": "5", "Transfer-Encoding": "chunked" }),
    ],
    [
      "chunks and length",
      requestText("POST", "/v1/echo", { "Content-Type": "application/json", "Transfer-Encoding": "chunked", "Content-Length": "5" }),
    ],
    ["two lengths", `${requestText("POST", "/v1/echo", { "Content-Length": "5" }).trimEnd()}\r\nContent-Length: 6\r\n\r\nhello`],
    ["a negative length", requestText("POST", "/v1/echo", { "Content-Length": "-1" })],
    ["a length with a sign", requestText("POST", "/v1/echo", { "Content-Length": "+5" })],
    ["an unknown transfer encoding", requestText("POST", "/v1/echo", { "Transfer-Encoding": "chunked, identity" })],
    ["a space before the colon", "GET /livez HTTP/1.1\r\nHost : a\r\n\r\n"],
    ["a folded header", "GET /livez HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n"],
    ["a bare carriage return", "GET /livez HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"],
    ["a bare line feed", "GET /livez HTTP/1.1\nHost: a\n\n"],
    ["a NUL in a header", "GET /livez HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"],
    ["a NUL in the address", "GET /live\0z HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a space in the address", "GET /live z HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["no host", "GET /livez HTTP/1.1\r\n\r\n"],
    ["two hosts", "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
    ["a body where none belongs", requestText("GET", "/v1/keys", { "Content-Length": "5" })],
    ["chunks where none belong", requestText("GET", "/v1/keys", { "Transfer-Encoding": "chunked" })],
    ["an expectation", requestText("POST", "/v1/echo", { Expect: "miracles" }, hello)],
  ])("is answered 400: %s", async (_name, text) => {
    expect(await problemFor(await startTestServer(), text)).toEqual({ status: 400, code: "INVALID_ARGUMENT" });
  });

  it("is answered 431 for headers too long, and 413 for an address too long", async () => {
    const server = await startTestServer();
    const long = "x".repeat(20_000);
    expect(await problemFor(server, requestText("GET", "/livez", { X: long }))).toEqual({ status: 431, code: "HEADERS_TOO_LARGE" });
    expect(await problemFor(server, requestText("GET", `/${long}`))).toEqual({ status: 431, code: "HEADERS_TOO_LARGE" });
    expect(await problemFor(server, requestText("GET", `/${"x".repeat(5_000)}`))).toEqual({ status: 413, code: "TOO_LARGE" });
    expect(await problemFor(server, requestText("GET", `/v1/keys/${"x".repeat(5_000)}`))).toEqual({ status: 413, code: "TOO_LARGE" });
  });

  it("is answered 413 for chunks that are too much together, also when they come with the head", async () => {
    const server = await startTestServer({ settings: { limits: { bodyBytes: 1_024 } } });
    const text = JSON.stringify({ text: "x".repeat(1_024) });
    const chunks = `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
    const head = requestText("POST", "/v1/echo", { "Content-Type": "application/json", "Transfer-Encoding": "chunked" });
    expect(await problemFor(server, head + chunks)).toEqual({ status: 413, code: "TOO_LARGE" });
  });

  it("is answered 413 for a length that is too much, before anything of it came", async () => {
    const server = await startTestServer({ settings: { limits: { bodyBytes: 1_024 } } });
    const head = requestText("POST", "/v1/echo", { "Content-Type": "application/json", "Content-Length": "1025" });
    expect(await problemFor(server, head)).toEqual({ status: 413, code: "TOO_LARGE" });
  });

  it.each([
    ["a chunk that is no number", "zz\r\nhello\r\n0\r\n\r\n"],
    ["a chunk longer than it says", "2\r\nhello\r\n0\r\n\r\n"],
    ["a chunk with a huge size", "fffffffffffffffff\r\n"],
  ])("is not waited for: %s", async (_name, chunks) => {
    const server = await startTestServer();
    const head = requestText("POST", "/v1/echo", { "Content-Type": "application/json", "Transfer-Encoding": "chunked" });
    expect(await new RawConnection(server.port).send(head + chunks).all()).toBe("");
    await expect.poll(() => server.refusals).toMatchObject([{ code: "INVALID_ARGUMENT", principal: { id: "anna" } }]);
  });

  it("is closed unanswered for an obfuscated transfer encoding", async () => {
    const server = await startTestServer();
    const head = requestText("POST", "/v1/echo", { "Content-Type": "application/json", "Transfer-Encoding": "xchunked" });
    expect(await new RawConnection(server.port).send(`${head}5\r\nhello\r\n0\r\n\r\n`).all()).not.toContain("200 OK");
  });

  it("of two Authorization headers is answered 401", async () => {
    const text = requestText("POST", "/v1/echo", { authorization: "Bearer other" }, hello);
    expect(await problemFor(await startTestServer(), text)).toEqual({ status: 401, code: "UNAUTHENTICATED" });
  });

  it("can't put lines into an answer by its request id", async () => {
    const server = await startTestServer();
    const answer = await new RawConnection(server.port)
      .send("GET /livez HTTP/1.1\r\nHost: a\r\nX-Request-Id: a%0d%0aSet-Cookie: b\r\n\r\n")
      .answer();
    expect(answer?.headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
    expect(answer?.headers).not.toHaveProperty("set-cookie");
  });
});

describe("an address", () => {
  it.each([
    "//v1/keys",
    "/v1//keys",
    "/v1/keys/",
    "/v1/./keys",
    "/v1/keys/../keys",
    "/v1/keys/%2e%2e/keys",
    "/v1/%2e/keys",
    "/v1/%6beys",
    "/v1/keys;x=1",
    "/v1/keys/pii-email;x=1",
    "/v1/keys/a%00",
    "/v1/keys/a%0d%0a",
    "/v1/keys/%ff",
    "/v1/keys/%zz",
    "/v1\\keys",
    "http://localhost/v1/keys",
    "http://other@localhost/v1/keys",
    "*",
    "/v1/keys#x",
    "/v1/keys/é",
  ])("in another form than the normal one reaches nothing: %s", async (target) => {
    const server = await startTestServer();
    expect(await problemFor(server, requestText("GET", target))).toEqual({ status: 400, code: "INVALID_ARGUMENT" });
  });

  it.each(["/v1%2Fkeys", "/V1/keys", "/v1/keys/a/b", "/"])("that no route has is not found: %s", async (target) => {
    expect(await problemFor(await startTestServer(), requestText("GET", target))).toEqual({ status: 404, code: "NOT_FOUND" });
  });

  it("may have a slash within a parameter, encoded", async () => {
    const server = await startTestServer();
    const answer = await new RawConnection(server.port).send(requestText("PUT", "/v1/keys/acme%2Femail")).answer();
    expect(JSON.parse(answer?.body ?? "")).toMatchObject({ name: "acme/email" });
  });

  it("has the method of the request line, whatever headers say", async () => {
    const server = await startTestServer();
    const headers = {
      "X-HTTP-Method-Override": "DELETE",
      "X-HTTP-Method": "PUT",
      "X-Original-URL": "/v1/fail",
      "X-Rewrite-URL": "/v1/fail",
    };
    const answer = await new RawConnection(server.port).send(requestText("GET", "/v1/keys/pii-email", headers)).answer();
    expect(JSON.parse(answer?.body ?? "")).toMatchObject({ name: "pii-email" });
    for (const method of ["TRACE", "OPTIONS", "PROPFIND", "PATCH"])
      expect(await problemFor(server, requestText(method, "/v1/keys"))).toEqual({ status: 405, code: "METHOD_NOT_ALLOWED" });
    // A method with a body, of which Fastify wants a content type before it looks for a route.
    expect(await problemFor(server, requestText("QUERY", "/v1/keys"))).toEqual({ status: 405, code: "METHOD_NOT_ALLOWED" });
    expect(await problemFor(server, requestText("QUERY", "/nowhere"))).toEqual({ status: 404, code: "NOT_FOUND" });
    expect(await new RawConnection(server.port).send("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n").all()).toBe("");
  });
});

describe("a connection", () => {
  it("takes several requests at once and answers them in order", async () => {
    const server = await startTestServer();
    const connection = new RawConnection(server.port);
    const bodies = ["one", "two", "three"].map((text) => requestText("POST", "/v1/echo", {}, JSON.stringify({ text })));
    connection.send(bodies.join(""));
    for (const said of ["one", "two", "three"]) expect(JSON.parse((await connection.answer())?.body ?? "")).toEqual({ said });
  });

  it("answers what came before what is malformed", async () => {
    const server = await startTestServer();
    const connection = new RawConnection(server.port);
    connection.send(`${requestText("POST", "/v1/echo", {}, hello)}${requestText("POST", "/v1/echo", {}, hello)}GARBAGE\r\n\r\n`);
    expect(await connection.answer()).toMatchObject({ status: 200 });
    expect(await connection.answer()).toMatchObject({ status: 200 });
    expect(await connection.answer()).toMatchObject({ status: 400 });
    await connection.all();
  });

  it("does not take the body of a refused request for another request", async () => {
    const server = await startTestServer();
    const smuggled = requestText("GET", "/v1/keys");
    const connection = new RawConnection(server.port).send(requestText("POST", "/v1/echo", { Authorization: "Bearer x" }, smuggled));
    const received = await connection.answer();
    expect(received?.status).toBe(401);
    connection.send(requestText("GET", "/livez", { Connection: "close" }));
    expect(await connection.all()).not.toContain("pii-email");
  });

  it("keeps nothing of a request that is over, in however many pieces it came", async () => {
    const { server, port } = await startTestServer();
    const closed: Promise<unknown>[] = [];
    server.server.on("request", (request: IncomingMessage) => closed.push(once(request, "close")));
    const connection = new RawConnection(port);
    const whole = requestText("POST", "/v1/echo", {}, hello);
    const chunked = requestText("POST", "/v1/echo", { "Content-Type": "application/json", "Transfer-Encoding": "chunked" });
    const pieces = [
      [whole],
      [whole.slice(0, -5), whole.slice(-5)],
      [`${chunked}${hello.length.toString(16)}\r\n${hello}\r\n0\r\n\r\n`],
      [requestText("GET", "/livez")],
      [requestText("POST", "/v1/echo", { Authorization: "Bearer wrong" }, hello)],
    ];
    const statuses: unknown[] = [];
    for (const [index, [head = "", ...rest]] of pieces.entries()) {
      connection.send(head);
      await expect.poll(() => closed.length).toBe(index + 1);
      connection.send(rest.join(""));
      statuses.push((await connection.answer())?.status);
    }
    expect(statuses).toEqual([200, 200, 200, 200, 401]);
    await Promise.all(closed);
  });

  it("is closed when the headers don't arrive", async () => {
    const server = await startTestServer({ settings: { limits: { headersMilliseconds: 200 } } });
    for (const text of ["", "GET /livez HTTP/1.1\r\nHost:"]) {
      const received = await new RawConnection(server.port).send(text).all();
      if (text !== "") expect(received).toContain("408");
    }
  });

  it("is closed when the body doesn't arrive, with a record", async () => {
    const server = await startTestServer({ settings: { limits: { bodyMilliseconds: 100 } } });
    const connection = new RawConnection(server.port).send(
      requestText("POST", "/v1/echo", { "Content-Length": "50", "Content-Type": "application/json" }),
    );
    expect(await connection.answer()).toMatchObject({ status: 408, headers: { connection: "close" } });
    await connection.all();
    expect(server.refusals).toMatchObject([{ code: "REQUEST_TIMEOUT", principal: { id: "anna" } }]);
  });

  it("that ends in the middle of a request leaves a record and nothing else", async () => {
    const server = await startTestServer();
    const head = requestText("POST", "/v1/echo", { "Content-Length": "50", "Content-Type": "application/json" });
    const connection = new RawConnection(server.port).send(`${head}{"te`);
    await once(connection.socket, "connect");
    // Answered only after the server has the request's head.
    await new RawConnection(server.port).send(requestText("GET", "/livez")).answer();
    connection.socket.destroy();
    await expect.poll(() => server.refusals).toMatchObject([{ code: "CANCELLED", principal: { id: "anna" } }]);
  });

  it("is known by its address in every record and limit, also when it is gone before it is known who it is", async () => {
    const issuer = Promise.withResolvers<undefined>();
    const slow: Authenticator = { authenticate: (token) => (token === "of-an-issuer" ? issuer.promise : undefined) };
    const settings = { rateLimits: { failedAuthenticationsPerMinute: 3 } };
    const { port, refusals } = await startTestServer({ settings, authenticators: [slow], clock: new TestClock() });
    const broken = { "Content-Type": "application/json", "Transfer-Encoding": "chunked" };
    for (const token of ["made-up", "of-an-issuer"]) {
      const head = requestText("POST", "/v1/echo", { ...broken, Authorization: `Bearer ${token}` });
      await new RawConnection(port).send(`${head}zz\r\n`).all();
    }
    issuer.resolve(undefined);
    await expect.poll(() => refusals).toHaveLength(2);
    const unknown = requestText("GET", "/v1/keys", { Authorization: "Bearer made-up" });
    const statuses: unknown[] = [];
    for (let count = 0; count < 2; count++) statuses.push((await new RawConnection(port).send(unknown).answer())?.status);
    expect(statuses).toEqual([401, 429]);
    expect(refusals.map(({ request }) => request?.address)).toEqual(Array.from({ length: 4 }, () => "127.0.0.1"));
  });

  it("that sends a body without end is closed", async () => {
    const server = await startTestServer();
    const connection = new RawConnection(server.port).send(
      requestText("POST", "/v1/echo", { "Content-Type": "application/json", "Transfer-Encoding": "chunked" }),
    );
    for (let count = 0; count < 20; count++) connection.send(`10000\r\n${"x".repeat(0x10000)}\r\n`);
    expect(await connection.answer()).toMatchObject({ status: 413 });
    await connection.all();
  });

  it("that is still while it is answered is closed, and so is what it asked for", async () => {
    const aborted = Promise.withResolvers<undefined>();
    const row = {
      ...usual,
      method: "POST",
      path: "/v1/still",
      summary: "Still.",
      tag: "x",
      action: "test.still",
      answer: z.unknown(),
    } as const;
    const still: Route = {
      ...row,
      handle: (_keystead, _input, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            aborted.resolve(undefined);
            resolve({});
          });
        }),
    };
    const server = await startTestServer({ routes: [still], settings: { limits: { idleMilliseconds: 1_000 } } });
    expect(await new RawConnection(server.port).send(requestText("POST", "/v1/still")).all()).toBe("");
    await aborted.promise;
  });

  it("is one of so many", async () => {
    const server = await startTestServer({ settings: { limits: { connections: 1 } } });
    const first = new RawConnection(server.port).send(requestText("GET", "/livez"));
    expect(await first.answer()).toMatchObject({ status: 200 });
    expect(await new RawConnection(server.port).send(requestText("GET", "/livez")).all()).toBe("");
  });
});

describe("an answer", () => {
  it("never has a secret or a stack in it, whatever is sent", async () => {
    const server = await startTestServer();
    const secret = canaries.email.text;
    const texts = [
      requestText("GET", `/v1/keys/${secret}`),
      requestText("GET", `/v1/nowhere/${secret}`),
      requestText("POST", "/v1/echo", { "Content-Type": secret, "Content-Length": "2" }, "{}"),
      requestText("POST", "/v1/echo", { Accept: secret }, hello),
      requestText("POST", "/v1/echo", { Authorization: `Bearer ${secret}` }, hello),
      requestText("POST", "/v1/echo", {}, JSON.stringify({ text: 1, list: secret })),
      requestText("POST", "/v1/fail"),
      `GET /${secret} HTTP/1.1\r\n${secret}\r\n\r\n`,
      `${secret}\r\n\r\n`,
    ];
    for (const text of texts) {
      const answer = await new RawConnection(server.port).send(text).answer();
      expect(answer?.status).toBeGreaterThanOrEqual(400);
      for (const word of [secret, tokens.anna, "    at ", "node_modules"]) expect(JSON.stringify(answer)).not.toContain(word);
    }
    for (const word of [secret, tokens.anna]) expect(server.logged.join("")).not.toContain(word);
  });
});
