import type * as Api from "@opentelemetry/api";
import type { Context, Span, Tracer } from "@opentelemetry/api";
import { KeysteadError } from "../errors.ts";
import { type ActOutcome, type BegunRequest, failureOutcome, type KekOperation, type Observer } from "../observer.ts";

/** Lowest status of an answer for which the server is to blame. */
const serverFault = 500;

/**
 * OpenTelemetry spans of requests, acts and calls to KEKs, by whatever SDK the process has. A request goes on with the trace that it names
 * (W3C Trace Context). Attributes are names of actions and routes, outcomes and error codes: no key, no context, no principal, no text of
 * an error.
 */
export class Traces implements Required<Pick<Observer, "act" | "kekCall" | "request">> {
  readonly #api: typeof Api;
  readonly #tracer: Tracer;

  private constructor(api: typeof Api, version: string) {
    this.#api = api;
    this.#tracer = api.trace.getTracer("keystead", version);
  }

  /**
   * Loads `@opentelemetry/api`.
   * @throws KeysteadError `INVALID_ARGUMENT` when it is not installed
   */
  static async open(version: string, load: () => Promise<typeof Api> = () => import("@opentelemetry/api")): Promise<Traces> {
    try {
      return new Traces(await load(), version);
    } catch (cause) {
      throw new KeysteadError(
        "INVALID_ARGUMENT",
        "traces are wanted and @opentelemetry/api is not installed; install it (`npm install @opentelemetry/api`), or turn telemetry.traces off",
        { cause },
      );
    }
  }

  /** {@link Observer.act} */
  act<T>(action: string, work: () => Promise<T>, outcomeOf: (result: T) => ActOutcome = () => "allowed"): Promise<T> {
    const { SpanKind } = this.#api;
    return this.#within(`keystead ${action}`, { kind: SpanKind.INTERNAL, attributes: { "keystead.action": action } }, async (span) => {
      const result = await work();
      span.setAttribute("keystead.outcome", outcomeOf(result));
      return result;
    });
  }

  /** {@link Observer.kekCall} */
  kekCall<T>(operation: KekOperation, work: () => Promise<T>): Promise<T> {
    const { SpanKind } = this.#api;
    return this.#within(`kek ${operation}`, { kind: SpanKind.CLIENT, attributes: { "keystead.kek.operation": operation } }, work);
  }

  /** {@link Observer.request} */
  request<T>({ method, route, status, trace }: BegunRequest, work: () => Promise<T>): Promise<T> {
    const { context, propagation, SpanKind, SpanStatusCode } = this.#api;
    const attributes = { "http.request.method": method, "http.route": route };
    const parent = propagation.extract(context.active(), trace);
    return this.#within(
      `${method} ${route}`,
      { kind: SpanKind.SERVER, attributes },
      async (span) => {
        const result = await work();
        span.setAttribute("http.response.status_code", status());
        if (status() >= serverFault) span.setStatus({ code: SpanStatusCode.ERROR });
        return result;
      },
      parent,
    );
  }

  #within<T>(
    name: string,
    options: Parameters<Tracer["startSpan"]>[1] & object,
    work: (span: Span) => Promise<T>,
    parent: Context = this.#api.context.active(),
  ): Promise<T> {
    return this.#tracer.startActiveSpan(name, options, parent, async (span) => {
      try {
        return await work(span);
      } catch (error) {
        span.setAttribute("keystead.outcome", failureOutcome(error));
        span.setAttribute("error.type", error instanceof KeysteadError ? error.code : "INTERNAL");
        span.setStatus({ code: this.#api.SpanStatusCode.ERROR });
        throw error;
      } finally {
        span.end();
      }
    });
  }
}
