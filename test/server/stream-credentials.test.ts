import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Authenticator } from "../../src/access/authenticator.ts";
import { routesOf } from "../../src/api/route-row.ts";
import { streamRoutes } from "../../src/api/routes/streams.ts";
import type { AuditRecordView } from "../../src/audit/newest-records.ts";
import { KeysteadError } from "../../src/errors.ts";
import { startOidc } from "../access/oidc/support/authenticator.ts";
import { privateFile } from "../datasets/codecs/foreign.ts";
import { registerSecret } from "../setup/canary.ts";
import { temporaryFolder } from "../support/test-keystead.ts";
import { RawConnection, requestText, startTestServer, type TestServer } from "./support/test-server.ts";

const line = '{"key":"pii-email","text":"x"}\n';

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

/** Begins a stream of lines with one, and waits for its answer. */
async function beginLines(server: TestServer, token: string): Promise<RawConnection> {
  const headers = {
    Authorization: `Bearer ${token}`,
    "X-Request-Id": "stream",
    "Content-Type": "application/x-ndjson",
    "Transfer-Encoding": "chunked",
  };
  const connection = new RawConnection(server.port).send(requestText("POST", "/v1/streams/encrypt", headers)).send(chunk(line));
  await connection.until("ks1:");
  return connection;
}

function secretFile(): string {
  const secret = "what the client of introspection knows";
  registerSecret(secret);
  return privateFile(temporaryFolder(), "secret", secret);
}

async function recordsOf(server: TestServer, request: string): Promise<AuditRecordView[]> {
  const records = await server.records();
  return records.filter((record) => JSON.stringify(record["request"] ?? "").includes(`"${request}"`));
}

const by = { principal: { source: "oidc", id: "main:7f3a" } };

describe("a stream of lines", () => {
  it("ends when the token expires, and leaves one record of that", async () => {
    const { issuer, oidc, clock } = await startOidc();
    const server = await startTestServer({ authenticators: [oidc], routes: routesOf(streamRoutes) });
    const connection = await beginLines(server, await issuer.token());
    clock.advance(331_000);
    const received = await connection.send(chunk(line)).all();
    expect(received.split("ks1:")).toHaveLength(2);
    expect(received).toMatch(/\{"streamProblem":\{[^}]*"status":401,"code":"UNAUTHENTICATED"/);
    expect(await recordsOf(server, "stream")).toMatchObject([
      { action: "data.encrypt", outcome: "allowed", key: "pii-email", ...by },
      { action: "data.encrypt", outcome: "denied", code: "UNAUTHENTICATED", ...by },
    ]);
    expect(server.refusals).toHaveLength(1);
  });

  it("ends when the issuer took the token back, as soon as it would be asked for a call", async () => {
    const introspection = { clientId: "keystead", clientSecretFile: secretFile(), cacheSeconds: 5 };
    const { issuer, oidc, clock } = await startOidc({ introspection });
    const server = await startTestServer({ authenticators: [oidc], routes: routesOf(streamRoutes) });
    const token = await issuer.token();
    issuer.active.add(token);
    const connection = await beginLines(server, token);
    issuer.active.delete(token);
    clock.advance(4_999);
    connection.send(chunk(line.replace('"x"', '"y"')));
    await expect.poll(() => recordsOf(server, "stream")).toHaveLength(2);
    expect(issuer.count("introspect")).toBe(1);
    clock.advance(1);
    const received = await connection.send(chunk(line)).all();
    expect(received.split("ks1:")).toHaveLength(3);
    expect(received).toContain('"code":"UNAUTHENTICATED"');
    expect((await recordsOf(server, "stream")).map(({ outcome }) => outcome)).toEqual(["allowed", "allowed", "denied"]);
  });

  it("ends when nobody can tell whether the token counts", async () => {
    const introspection = { clientId: "keystead", clientSecretFile: secretFile(), cacheSeconds: 0 };
    const { issuer, oidc } = await startOidc({ introspection });
    const server = await startTestServer({ authenticators: [oidc], routes: routesOf(streamRoutes) });
    const token = await issuer.token();
    issuer.active.add(token);
    const connection = await beginLines(server, token);
    await issuer.stop();
    expect(await connection.send(chunk(line)).all()).toMatch(/\{"streamProblem":\{[^}]*"code":"OVERLOADED"/);
    expect(server.refusals).toMatchObject([{ outcome: "failed", code: "OVERLOADED", ...by }]);
  });

  it("that is refused before its first answer is answered as a call is, and recorded once", async () => {
    let isGood = true;
    const authenticators = [switchedBy(() => isGood)];
    const server = await startTestServer({ authenticators, routes: routesOf(streamRoutes) });
    const headers = { "Content-Type": "application/x-ndjson", "Content-Length": String(line.length), Connection: "close" };
    const connection = new RawConnection(server.port).send(requestText("POST", "/v1/streams/encrypt", headers));
    // Answered only after the stream has begun to wait for its first line.
    await new RawConnection(server.port).send(requestText("GET", "/v1/keys")).answer();
    isGood = false;
    expect(await connection.send(line).all()).toContain("HTTP/1.1 401");
    expect(server.refusals).toMatchObject([{ action: "data.encrypt", outcome: "denied", code: "UNAUTHENTICATED" }]);
  });
});

describe("events", () => {
  async function follow(): Promise<{ readonly server: TestServer; readonly connection: RawConnection; readonly end: () => Promise<void> }> {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    let isGood = true;
    const server = await startTestServer({ authenticators: [switchedBy(() => isGood)] });
    const connection = new RawConnection(server.port).send(requestText("GET", "/v1/events", { "X-Request-Id": "events" }));
    // Answered only after the server has begun with the events.
    await new RawConnection(server.port).send(requestText("GET", "/v1/keys")).answer();
    const end = async (): Promise<void> => {
      await vi.advanceTimersByTimeAsync(5_000);
      isGood = false;
      await vi.advanceTimersByTimeAsync(1_000);
    };
    return { server, connection, end };
  }

  it("end with a problem within a second when the credential is not good any more, also while nothing happens", async () => {
    const { server, connection, end } = await follow();
    server.send({ done: 1 });
    await connection.until("done");
    await end();
    expect(await connection.all()).toMatch(/event: problem\ndata: \{[^}]*"code":"UNAUTHENTICATED"/);
    await server.aborted;
    expect(await recordsOf(server, "events")).toMatchObject([{ action: "test.watch", outcome: "denied", code: "UNAUTHENTICATED" }]);
    expect(server.refusals).toHaveLength(1);
  });

  it("that have not begun are answered as a call is", async () => {
    const { server, connection, end } = await follow();
    await end();
    expect(await connection.answer()).toMatchObject({
      status: 401,
      headers: { "www-authenticate": 'Bearer realm="keystead", error="invalid_token"' },
    });
    expect(server.refusals).toMatchObject([{ action: "test.watch", outcome: "denied", code: "UNAUTHENTICATED" }]);
  });
});

/** Takes every token while it is told to. */
function switchedBy(isGood: () => boolean): Authenticator {
  return {
    authenticate: () => {
      if (isGood()) return { principal: { source: "oidc", id: "main:7f3a" } };
      throw new KeysteadError("UNAUTHENTICATED", "the token is not good any more; get another one");
    },
  };
}
