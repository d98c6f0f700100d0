import { describe, expect, it } from "vitest";
import type { AccessControl } from "../../src/access/access-control.ts";
import { routes } from "../../src/api/routes.ts";
import { systemClock } from "../../src/clock.ts";
import { KeysteadError } from "../../src/errors.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import { observers } from "../../src/observer.ts";
import { requestText, RawConnection, startTestServer, type TestServerOptions, tokens } from "../server/support/test-server.ts";
import { canaries } from "../setup/canary.ts";
import { createTestKeystead } from "../support/test-keystead.ts";
import { samplesOf, valueOf } from "./support/samples.ts";

/** Anna may do everything, Berta nothing. */
const access: AccessControl = {
  authorize: ({ principal }) => {
    if (principal.id === "berta") throw new KeysteadError("ACCESS_DENIED", "no");
  },
};

async function watchedServer(parts: TestServerOptions = {}) {
  const metrics = new Metrics({ version: "1", clock: systemClock });
  const { keystead } = await createTestKeystead({ metrics, access });
  await keystead.keys.create({ name: "pii-email", purpose: "pii" });
  const metricsRoute = routes.filter(({ path }) => path === "/metrics");
  const { port } = await startTestServer({ routes: metricsRoute, apiFor: (caller) => keystead.as(caller), observer: metrics, ...parts });
  const ask = async (...request: Parameters<typeof requestText>) => new RawConnection(port).send(requestText(...request)).answer();
  return { ask, port, metrics };
}

describe("GET /metrics", () => {
  it("is denied to whoever may not, and answers text to others", async () => {
    const { ask } = await watchedServer();
    expect((await ask("GET", "/metrics", { Authorization: `Bearer ${tokens.berta}` }))?.status).toBe(403);
    const answer = await ask("GET", "/metrics");
    expect(answer?.status).toBe(200);
    expect(answer?.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(valueOf(answer?.body ?? "", "keystead_operations_total", { action: "metrics.read", outcome: "denied" })).toBe(1);
  });

  it("counts requests by the row of the route table, never by what they ask for", async () => {
    const { ask } = await watchedServer();
    await ask("GET", "/v1/keys/pii-email");
    await ask("GET", `/v1/keys/${canaries.email.text.replace("@", "-at-")}`);
    await ask("GET", `/v1/nothing/${encodeURIComponent(canaries.email.text)}`);
    await ask("GET", "/v1/keys/pii-email", { Authorization: "Bearer wrong-token" });
    const text = (await ask("GET", "/metrics"))?.body ?? "";
    const count = (route: string, status: string) =>
      valueOf(text, "keystead_http_request_duration_seconds_count", { method: "GET", route, status });
    expect(count("/v1/keys/:name", "2xx")).toBe(1);
    expect(count("/v1/keys/:name", "4xx")).toBe(2);
    expect(count("none", "4xx")).toBe(1);
    expect(valueOf(text, "keystead_http_requests_in_flight")).toBe(1);
    expect(new Set(samplesOf(text).flatMap(({ labels }) => labels["route"] ?? []))).toEqual(new Set(["/v1/keys/:name", "none"]));
  });

  it("says of no request that it is under way once it ended, however it did", async () => {
    const { ask, port, metrics } = await watchedServer({ settings: { limits: { bodyMilliseconds: 100 } } });
    const underWay = async (): Promise<number | undefined> => valueOf(await metrics.read(), "keystead_http_requests_in_flight");
    const json = { "Content-Type": "application/json" };
    for (const [method, path] of [
      ["POST", "/v1/fail"],
      ["HEAD", "/livez"],
      ["PATCH", "/livez"],
      ["GET", "/v1/nothing"],
      ["GET", "//"],
    ] as const)
      await ask(method, path, { Connection: "close", ...(method === "POST" && { "Content-Length": "0" }) });
    await ask("POST", "/v1/echo", json, "{");
    await ask("POST", "/v1/lines", json, '{"text":"break"}');
    const slow = new RawConnection(port).send(requestText("POST", "/v1/echo", { ...json, "Content-Length": "5" }));
    expect((await slow.answer())?.status).toBe(408);
    const gone = new RawConnection(port).send(requestText("POST", "/v1/echo", { ...json, "Content-Length": "5" }));
    await expect.poll(underWay).toBe(1);
    gone.socket.destroy();
    await expect.poll(underWay).toBe(0);
  });

  it("counts right also where a log or an observer breaks its word and throws", async () => {
    const broken = (): never => {
      throw new Error("broken");
    };
    const metrics = new Metrics({ version: "1", clock: systemClock });
    for (const parts of [{ log: { write: broken } }, { observer: observers([{ request: broken }, metrics]) }]) {
      const { ask } = await watchedServer({ observer: metrics, settings: { log: { requests: "all" } }, ...parts });
      for (const path of ["/v1/keys/pii-email", "/v1/nothing"]) await ask("GET", path, { Connection: "close" });
      expect(valueOf(await metrics.read(), "keystead_http_requests_in_flight")).toBe(0);
    }
  });
});
