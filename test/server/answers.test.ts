import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Principal } from "../../src/access/principal.ts";
import type { Route } from "../../src/api/route.ts";
import { usual } from "../../src/api/route-row.ts";
import { KeysteadError } from "../../src/errors.ts";
import { canaries } from "../setup/canary.ts";
import { startOidc } from "../access/oidc/support/authenticator.ts";
import { TestClock } from "../support/test-clock.ts";
import { startTestServer, type TestServerOptions, type TestServer, tokens } from "./support/test-server.ts";

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: unknown;
}

async function call(
  { port }: TestServer,
  method: string,
  path: string,
  {
    body,
    headers = {},
    token = tokens.anna,
  }: { readonly body?: unknown; readonly headers?: Record<string, string>; readonly token?: string | null } = {},
): Promise<Answer> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, json: text === "" ? undefined : (JSON.parse(text) as unknown) };
}

async function start(options?: TestServerOptions): Promise<TestServer> {
  return startTestServer(options);
}

describe("an answer", () => {
  it("is what the handler says, as JSON", async () => {
    const server = await start();
    const answer = await call(server, "POST", "/v1/echo", { body: { text: "hello" } });
    expect(answer).toMatchObject({ status: 200, json: { said: "hello" } });
    expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(server.refusals).toEqual([]);
  });

  it("keeps a well-formed request id and replaces any other", async () => {
    const server = await start();
    const id = async (given: string): Promise<string | null> => {
      const answer = await call(server, "GET", "/livez", { headers: { "x-request-id": given } });
      return answer.headers.get("x-request-id");
    };
    expect(await id("abc-1:2/3")).toBe("abc-1:2/3");
    for (const given of ["a b", "a,b", "x".repeat(129), "<script>", '"', "é"]) expect(await id(given)).toMatch(/^[0-9a-f]{32}$/);
  });

  it("has headers for what is no page", async () => {
    const { headers } = await call(await start(), "GET", "/livez", { token: null });
    expect(Object.fromEntries(headers)).toMatchObject({
      "cache-control": "no-store",
      "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
      "cross-origin-resource-policy": "same-origin",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    });
    expect(headers.has("x-powered-by")).toBe(false);
    expect(headers.has("strict-transport-security")).toBe(false);
    const secure = await call(await start({ settings: { publicUrl: "https://keys.example" } }), "GET", "/livez");
    expect(secure.headers.get("strict-transport-security")).toContain("max-age");
  });

  it("has a tag, by which it need not be sent again", async () => {
    const server = await start();
    const first = await call(server, "GET", "/v1/keys/pii-email");
    const tag = first.headers.get("etag") ?? "";
    expect(tag).toMatch(/^"[A-Za-z0-9_-]{43}"$/);
    for (const known of [tag, `W/${tag}`, `"x", ${tag}`, "*"]) {
      const again = await call(server, "GET", "/v1/keys/pii-email", { headers: { "if-none-match": known } });
      expect(again).toMatchObject({ status: 304, text: "" });
    }
    expect(await call(server, "GET", "/v1/keys/pii-email", { headers: { "if-none-match": '"x"' } })).toMatchObject({ status: 200 });
  });

  it("depends on If-Match where a route is tagged, and only there", async () => {
    const server = await start();
    const put = (ifMatch: string): Promise<Answer> => call(server, "PUT", "/v1/keys/pii-email", { headers: { "if-match": ifMatch } });
    expect((await put('"abc"')).json).toEqual({ name: "pii-email", ifMatch: "abc" });
    expect((await put("*")).json).toEqual({ name: "pii-email", ifMatch: "*" });
    expect(await put('"*"')).toMatchObject({ status: 412 });
    expect(await put('W/"abc"')).toMatchObject({ status: 412 });
    expect(await put('"abc", "def"')).toMatchObject({ status: 400 });
    expect(await put(`"${"x".repeat(256)}"`)).toMatchObject({ status: 200 });
    expect(await put(`"${"x".repeat(257)}"`)).toMatchObject({ status: 400 });
    expect(await call(server, "POST", "/v1/echo", { body: { text: "" }, headers: { "if-match": '"abc"' } })).toMatchObject({ status: 400 });
  });

  it("is given to HEAD without its body", async () => {
    const answer = await call(await start(), "HEAD", "/v1/keys/pii-email");
    expect(answer).toMatchObject({ status: 200, text: "" });
    expect(Number(answer.headers.get("content-length"))).toBeGreaterThan(100);
  });
});

describe("a token", () => {
  it("is looked at up to the length that every kind of token has, where headers may be so long", async () => {
    const longest = "x".repeat(16_384);
    const seen: string[] = [];
    const authenticate = (token: string): { principal: Principal } => {
      seen.push(token);
      return { principal: { source: "oidc", id: "main:long" } };
    };
    const server = await startTestServer({ settings: { limits: { headerBytes: 32_768 } }, authenticators: [{ authenticate }] });
    expect(await call(server, "GET", "/v1/keys", { token: longest })).toMatchObject({ status: 200 });
    const refused = await call(server, "GET", "/v1/keys", { token: `${longest}x` });
    expect(refused).toMatchObject({ status: 401, json: { detail: expect.stringContaining("at most 16384 characters") as unknown } });
    expect(seen).toEqual([longest]);
    // With the usual limit of headers the longest do not arrive.
    const usual = await startTestServer({ authenticators: [{ authenticate }] });
    expect(await call(usual, "GET", "/v1/keys", { token: longest })).toMatchObject({ status: 431 });
    expect(await call(usual, "GET", "/v1/keys", { token: "x".repeat(15_000) })).toMatchObject({ status: 200 });
  });
});

describe("a refusal", () => {
  it.each([
    ["without a token", { token: null }, 401, "UNAUTHENTICATED"],
    ["with an unknown token", { token: "unknown" }, 401, "UNAUTHENTICATED"],
    ["with another scheme", { token: null, headers: { authorization: "Basic YTpi" } }, 401, "UNAUTHENTICATED"],
    ["with an unknown field", { body: { text: "", extra: 1 } }, 400, "INVALID_ARGUMENT"],
    ["with a field of another type", { body: { text: 5 } }, 400, "INVALID_ARGUMENT"],
    ["without a body", {}, 400, "INVALID_ARGUMENT"],
    ["that is not JSON", { body: "{" }, 400, "INVALID_ARGUMENT"],
    ["that names a field twice", { body: '{"text":"a","text":"b"}' }, 400, "INVALID_ARGUMENT"],
    ["that names a field twice, escaped", { body: '{ "text": "a", "te\\u0078t": "b" }' }, 400, "INVALID_ARGUMENT"],
    ["that poisons prototypes", { body: '{"text":"a","list":[{"__proto__":{"x":1}}]}' }, 400, "INVALID_ARGUMENT"],
    ["that poisons constructors", { body: '{"text":"a","list":[{"constructor":{"prototype":{}}}]}' }, 400, "INVALID_ARGUMENT"],
    ["that is too deep", { body: `{"text":"","list":${"[".repeat(40)}${"]".repeat(40)}}` }, 413, "TOO_LARGE"],
    ["that is far too deep", { body: `{"text":"","list":${"[".repeat(300_000)}${"]".repeat(300_000)}}` }, 413, "TOO_LARGE"],
    ["with too many values", { body: { text: "", list: Array.from({ length: 100_001 }, () => 0) } }, 413, "TOO_LARGE"],
    ["that is too long", { body: { text: "x".repeat(1_048_576) } }, 413, "TOO_LARGE"],
    [
      "of another type",
      { body: "text=a", headers: { "content-type": "application/x-www-form-urlencoded" } },
      415,
      "UNSUPPORTED_MEDIA_TYPE",
    ],
    ["of a malformed type", { body: "{}", headers: { "content-type": "a b" } }, 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["in another charset", { body: "{}", headers: { "content-type": "application/json; charset=latin1" } }, 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["that is compressed", { body: "{}", headers: { "content-encoding": "gzip" } }, 415, "UNSUPPORTED_MEDIA_TYPE"],
    ["that wants a page", { body: { text: "" }, headers: { accept: "text/html" } }, 406, "NOT_ACCEPTABLE"],
    ["that wants no JSON", { body: { text: "" }, headers: { accept: "*/*, application/json;q=0" } }, 406, "NOT_ACCEPTABLE"],
  ])("of a request %s is a problem, and recorded once", async (_name, options, status, code) => {
    const server = await start();
    const answer = await call(server, "POST", "/v1/echo", options);
    expect(answer.json).toMatchObject({ type: `urn:keystead:error:${code}`, status, code, requestId: answer.headers.get("x-request-id") });
    expect(answer.status).toBe(status);
    expect(answer.headers.get("content-type")).toBe("application/problem+json; charset=utf-8");
    expect(answer.headers.has("www-authenticate")).toBe(status === 401);
    expect(server.refusals).toEqual([
      {
        action: "test.echo",
        outcome: status === 401 ? "denied" : "failed",
        principal: status === 401 ? { source: "anonymous", id: "anonymous" } : { source: "token", id: "anna" },
        request: { id: answer.headers.get("x-request-id"), address: "127.0.0.1" },
        code,
      },
    ]);
  });

  it.each([
    ["application/json; charset=utf-8", 200],
    ['Application/JSON;charset="UTF-8"', 200],
    ["application/jsonx", 415],
    ["application/json; charset=utf-8; x=y", 415],
  ])("goes by the whole content type: %s", async (type, status) => {
    expect(await call(await start(), "POST", "/v1/echo", { body: { text: "" }, headers: { "content-type": type } })).toMatchObject({
      status,
    });
  });

  it("never repeats a value", async () => {
    const server = await start();
    const secret = canaries.email.text;
    for (const body of [{ text: "", [secret]: 1 }.text, `{"text": ${secret}`, { text: { a: secret } }, `{"text":"${secret}","text":""}`])
      expect((await call(server, "POST", "/v1/echo", { body })).text).not.toContain(secret);
    expect((await call(server, "GET", `/v1/keys?limit=${secret}`)).text).not.toContain(secret);
    expect((await call(server, "GET", "/v1/keys", { token: "not-a-token-canary" })).text).not.toContain("not-a-token-canary");
    expect(server.logged.join("")).not.toContain(secret);
  });

  it("tells nothing of what failed inside", async () => {
    const server = await start();
    const answer = await call(server, "POST", "/v1/fail");
    expect(answer).toMatchObject({ status: 500, json: { code: "INTERNAL" } });
    for (const word of [canaries.email.text, canaries.diagnosis.text, ".ts", "    at "]) expect(answer.text).not.toContain(word);
    // The log says where, and not what.
    const logged = server.logged.join("");
    expect(logged).toContain("test-server.ts");
    expect(logged).not.toContain(canaries.email.text);
  });

  it("of an unknown address or method says so, without asking who it is", async () => {
    const server = await start();
    expect(await call(server, "GET", "/v1/nowhere", { token: null })).toMatchObject({ status: 404, json: { code: "NOT_FOUND" } });
    const wrong = await call(server, "DELETE", "/v1/keys/pii-email", { token: null });
    expect(wrong).toMatchObject({ status: 405, json: { code: "METHOD_NOT_ALLOWED" } });
    expect(wrong.headers.get("allow")).toBe("GET, HEAD, PUT");
    expect(server.refusals).toEqual([]);
  });

  it("of a query is as strict", async () => {
    const server = await start();
    expect(await call(server, "GET", "/v1/keys?limit=5")).toMatchObject({ json: { limit: 5 } });
    for (const query of ["?limit=x", "?limit=1&limit=2", "?other=1", "?limit=%ff", "?__proto__=1", `?${"a&".repeat(100)}`]) {
      const { status } = await call(server, "GET", `/v1/keys${query}`);
      expect([query, status]).toEqual([query, query.length > 100 ? 413 : 400]);
    }
  });

  it("of a query counts to a hundred", async () => {
    const server = await start();
    const pairs = (count: number): string => Array.from({ length: count }, (_, number) => `a${String(number)}=1`).join("&");
    expect(await call(server, "GET", `/v1/keys?${pairs(100)}`)).toMatchObject({ status: 400 });
    expect(await call(server, "GET", `/v1/keys?${pairs(101)}`)).toMatchObject({ status: 413 });
  });

  it("of a handler, and an answer of one, are recorded once, by the service or else by the server", async () => {
    const server = await start();
    await call(server, "GET", "/v1/keys/pii-email");
    await call(server, "GET", "/v1/keys/unknown");
    await call(server, "POST", "/v1/fail");
    await call(server, "POST", "/v1/echo", { body: { text: "" } });
    const ofCalls = (await server.records()).filter((record) => JSON.stringify(record).includes('"anna"'));
    expect(ofCalls).toMatchObject([
      { action: "keys.show", outcome: "allowed", key: "pii-email", principal: { id: "anna" } },
      { action: "keys.show", outcome: "failed", code: "UNKNOWN_KEY" },
      { action: "test.fail", outcome: "failed", code: "INTERNAL" },
      { action: "test.echo", outcome: "allowed", principal: { id: "anna" } },
    ]);
  });

  it("becomes 503 when it can't be recorded", async () => {
    const server = await start({
      recordCall: async () => {
        throw new KeysteadError("AUDIT_UNAVAILABLE", "the audit's disk is full; free it");
      },
    });
    expect(await call(server, "POST", "/v1/echo", { token: null })).toMatchObject({ status: 503, json: { code: "AUDIT_UNAVAILABLE" } });
  });
});

describe("too many requests", () => {
  it("without a good token are answered 429 and recorded no more, while good ones pass", async () => {
    const clock = new TestClock();
    const server = await start({ clock, settings: { rateLimits: { failedAuthenticationsPerMinute: 2 } } });
    const statuses: number[] = [];
    for (let count = 0; count < 5; count++) statuses.push((await call(server, "POST", "/v1/echo", { token: "unknown" })).status);
    expect(statuses).toEqual([401, 401, 429, 429, 429]);
    expect(server.refusals.map(({ code }) => code)).toEqual(["UNAUTHENTICATED", "UNAUTHENTICATED", "RATE_LIMITED"]);
    expect(await call(server, "POST", "/v1/echo", { body: { text: "" } })).toMatchObject({ status: 200 });
    clock.advance(60_000);
    expect(await call(server, "POST", "/v1/echo", { token: "unknown" })).toMatchObject({ status: 401 });
  });

  it("with one credential are answered 429, those with another pass", async () => {
    const server = await start({ clock: new TestClock(), settings: { rateLimits: { callsPerMinute: 1 } } });
    expect(await call(server, "GET", "/v1/keys")).toMatchObject({ status: 200 });
    const refused = await call(server, "GET", "/v1/keys");
    expect(refused).toMatchObject({ status: 429, json: { code: "RATE_LIMITED" } });
    expect(refused.headers.get("retry-after")).toBe("60");
    expect(await call(server, "GET", "/v1/keys", { token: tokens.berta })).toMatchObject({ status: 200 });
  });

  it("at once are answered 503, but for those that watch the server", async () => {
    const entered = Promise.withResolvers<undefined>();
    const released = Promise.withResolvers<undefined>();
    const row = {
      ...usual,
      method: "POST",
      path: "/v1/slow",
      summary: "Slow.",
      tag: "x",
      action: "test.slow",
      answer: z.unknown(),
    } as const;
    const slow: Route = {
      ...row,
      handle: async () => {
        entered.resolve(undefined);
        await released.promise;
        return {};
      },
    };
    const server = await start({ routes: [slow], settings: { limits: { requestsInFlight: 1 } } });
    const first = call(server, "POST", "/v1/slow");
    await entered.promise;
    const refused = await call(server, "POST", "/v1/echo", { body: { text: "" } });
    expect(refused).toMatchObject({ status: 503, json: { code: "OVERLOADED" } });
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await call(server, "GET", "/readyz")).toMatchObject({ status: 200 });
    released.resolve(undefined);
    expect(await first).toMatchObject({ status: 200 });
    expect(await call(server, "POST", "/v1/echo", { body: { text: "" } })).toMatchObject({ status: 200 });
  });
});

describe("an issuer that is away", () => {
  it("leaves calls unanswered and recorded, of each minute and address as many as failed authentications", async () => {
    const { issuer, oidc, clock } = await startOidc();
    const token = await issuer.token();
    await issuer.stop();
    const server = await start({ clock, authenticators: [oidc], settings: { rateLimits: { failedAuthenticationsPerMinute: 2 } } });
    const echo = (): Promise<Answer> => call(server, "POST", "/v1/echo", { body: { text: "" }, token });
    for (let count = 0; count < 2; count++) {
      const answer = await echo();
      expect(answer).toMatchObject({ status: 503, json: { code: "OVERLOADED" } });
      expect(answer.headers.get("retry-after")).toBe("1");
    }
    for (let count = 0; count < 3; count++) expect(await echo()).toMatchObject({ status: 429, json: { code: "RATE_LIMITED" } });
    const unknown = { action: "test.echo", principal: { id: "anonymous" } };
    expect(server.refusals).toMatchObject([
      { ...unknown, outcome: "failed", code: "OVERLOADED" },
      { ...unknown, outcome: "failed", code: "OVERLOADED" },
      { ...unknown, outcome: "denied", code: "RATE_LIMITED" },
    ]);
  });
});

describe("a server that is late with everything", () => {
  it("answers calls 503, but those that watch it, until it has caught up", async () => {
    const server = await start({ settings: { limits: { eventLoopDelayMilliseconds: 10 } } });
    const echo = (): Promise<Answer> => call(server, "POST", "/v1/echo", { body: { text: "" } });
    const late = async (): Promise<Answer> => {
      const end = performance.now() + 300;
      while (performance.now() < end);
      return echo();
    };
    await expect.poll(late, { timeout: 20_000, interval: 1 }).toMatchObject({ status: 503, json: { code: "OVERLOADED" } });
    const refused = await late();
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(await call(server, "GET", "/readyz")).toMatchObject({ status: 200 });
    // What is shed is not recorded: that would be more work.
    expect(server.refusals).toEqual([]);
    await expect.poll(async () => (await echo()).status, { timeout: 20_000, interval: 100 }).toBe(200);
  });
});

describe("health", () => {
  it("is told to everybody, with the cause of what is wrong", async () => {
    const good = await start();
    expect(await call(good, "GET", "/readyz", { token: null })).toMatchObject({ status: 200, json: { ready: true } });
    expect(await call(good, "GET", "/v1/version", { token: null })).toMatchObject({ json: { version: "0.0.0" } });
    const bad = await start({ health: async () => [{ check: "audit", ready: false, cause: "its disk is full" }] });
    const answer = await call(bad, "GET", "/readyz", { token: null });
    expect(answer).toMatchObject({ status: 503, json: { detail: "not ready: audit: its disk is full" } });
    expect(await call(bad, "GET", "/livez", { token: null })).toMatchObject({ status: 200 });
    expect(bad.refusals).toEqual([]);
  });
});

describe("the log", () => {
  const good = { method: "GET", route: "/v1/keys/:name", status: 200, principal: "token:anna" };
  const failed = { ...good, status: 400 };

  it.each([
    { requests: undefined, told: [failed] },
    { requests: "none", told: [] },
    { requests: "failed", told: [failed] },
    { requests: "all", told: [good, failed] },
  ] as const)(
    "tells of requests as its setting says ($requests), with the route and never the address or the token",
    async ({ requests, told }) => {
      const server = await start({ settings: requests === undefined ? {} : { log: { requests } } });
      await call(server, "GET", "/v1/keys/pii-email");
      await call(server, "GET", "/v1/keys/pii-email?x=secret-in-query");
      const lines = server.logged.filter((text) => text.includes('"msg":"request"'));
      expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject(told);
      expect(server.logged.join("")).not.toMatch(/secret-in-query|token-of-anna/);
    },
  );
});
