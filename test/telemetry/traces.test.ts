import { AsyncLocalStorage } from "node:async_hooks";
import { context, type Context, type ContextManager, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Caller } from "../../src/access/caller.ts";
import { KeysteadError } from "../../src/errors.ts";
import { observers } from "../../src/observer.ts";
import { Traces } from "../../src/telemetry/traces.ts";
import { RawConnection, requestText, startTestServer } from "../server/support/test-server.ts";
import { canaries } from "../setup/canary.ts";
import { codeOf, createTestKeystead } from "../support/test-keystead.ts";

const exporter = new InMemorySpanExporter();
const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const anna: Caller = { principal: { source: "token", id: "t1", name: "anna" }, request: { id: "r1", address: "10.1.2.3" } };

/** What an SDK brings along: the context that follows asynchronous calls. */
class AsyncContexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(active: Context, work: F, _this?: ThisParameterType<F>, ...args: A) {
    return this.#storage.run(active, () => work(...args));
  }

  bind<T>(_context: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    return this;
  }
}

beforeEach(() => {
  exporter.reset();
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
  context.setGlobalContextManager(new AsyncContexts());
  propagation.setGlobalPropagator({
    inject: () => undefined,
    fields: () => ["traceparent"],
    extract: (active, carrier: Readonly<Record<string, string>>) => {
      const [, traceId = "", spanId = ""] = (carrier["traceparent"] ?? "").split("-");
      return traceId === "" ? active : trace.setSpanContext(active, { traceId, spanId, traceFlags: 1, isRemote: true });
    },
  });
});

afterEach(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

/** Spans by name, with the name of the one around them. */
function tree(): string[] {
  const spans = exporter.getFinishedSpans();
  const names = new Map(spans.map((span) => [span.spanContext().spanId, span.name]));
  return spans.map((span) => `${names.get(span.parentSpanContext?.spanId ?? "") ?? "-"} > ${span.name}`);
}

describe("traces", () => {
  it("have a span for each act and each call to a KEK within it", async () => {
    const { keystead } = await createTestKeystead({ observers: [await Traces.open("1")] });
    exporter.reset();
    await keystead.keys.create({ name: "k", purpose: "pii" });
    await keystead
      .as({ principal: anna.principal })
      .keys.list()
      .catch(() => undefined);
    expect(tree()).toEqual([
      "keystead keys.create > kek wrap",
      "keystead keys.create > kek unwrap",
      "- > keystead keys.create",
      "- > keystead keys.list",
    ]);
    const denied = exporter.getFinishedSpans().find(({ name }) => name === "keystead keys.list");
    expect(denied?.attributes).toEqual({
      "keystead.action": "keys.list",
      "keystead.outcome": "denied",
      "error.type": "ACCESS_DENIED",
    });
    expect(denied?.status).toEqual({ code: SpanStatusCode.ERROR });
  });

  it("go on with the trace that a request names", async () => {
    const traces = await Traces.open("1");
    const { keystead } = await createTestKeystead({ observers: [traces], access: { authorize: () => undefined } });
    await keystead.keys.create({ name: "pii-email", purpose: "pii" });
    const { port } = await startTestServer({ apiFor: (caller) => keystead.as(caller), observer: observers([traces]) });
    exporter.reset();
    const headers = { traceparent: `00-${traceId}-${spanId}-01` };
    await new RawConnection(port).send(requestText("GET", "/v1/keys/pii-email", headers)).answer();
    await expect.poll(tree).toEqual(["GET /v1/keys/:name > keystead keys.show", "- > GET /v1/keys/:name"]);
    const [, request] = exporter.getFinishedSpans();
    expect(request?.kind).toBe(SpanKind.SERVER);
    expect(request?.spanContext().traceId).toBe(traceId);
    expect(request?.parentSpanContext?.spanId).toBe(spanId);
    expect(request?.attributes).toEqual({
      "http.request.method": "GET",
      "http.route": "/v1/keys/:name",
      "http.response.status_code": 200,
    });
  });

  it("hold no value, context, principal, key name or text of an error", async () => {
    const traces = await Traces.open("1");
    const { keystead } = await createTestKeystead({ observers: [traces], access: { authorize: () => undefined } });
    await keystead.keys.create({ name: "acme/secret-key", purpose: "pii" });
    const sealed = await keystead
      .as(anna)
      .encrypt("acme/secret-key", canaries.email.text, { context: { person: canaries.diagnosis.text } });
    await codeOf(keystead.as(anna).decrypt(sealed, { context: { person: "other" } }));
    await traces.act("data.encrypt", () => Promise.reject(new Error(canaries.email.text))).catch(() => undefined);
    const text = JSON.stringify(
      exporter.getFinishedSpans().map(({ name, attributes, status, events }) => ({ name, attributes, status, events })),
    );
    for (const secret of [canaries.email.text, canaries.diagnosis.text, "anna", "10.1.2.3", "acme", "other"])
      expect(text).not.toContain(secret);
    expect(text).toContain("DECRYPTION_FAILED");
    expect(text).toContain("INTERNAL");
  });

  it("that are wanted where OpenTelemetry is not installed are an error that names the remedy", async () => {
    const missing = Traces.open("1", () => Promise.reject(new Error("Cannot find package")));
    await expect(missing).rejects.toThrow(/npm install @opentelemetry\/api/);
    await expect(missing).rejects.toBeInstanceOf(KeysteadError);
  });
});
