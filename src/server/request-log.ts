import { hostname } from "node:os";
import type { Clock } from "../clock.ts";
import type { Exchange } from "./exchange.ts";
import type { LogTarget, ServerParts } from "./server-parts.ts";

/** pino's number of the level, as in the other lines. */
const info = 30;

/** Levels of the log at which requests are told. */
const telling: ReadonlySet<string> = new Set(["trace", "debug", "info"]);

/**
 * Writes a line for each request that is to be told, in the form of the other lines. It writes the JSON itself: for one line in each call
 * pino would cost as much as encrypting does.
 */
export class RequestLog {
  readonly #target: LogTarget;
  readonly #clock: Clock;
  readonly #failedOnly: boolean;
  readonly #process = `"pid":${String(process.pid)},"hostname":${JSON.stringify(hostname())}`;
  /** Members that many lines have, as they are written. */
  readonly #members = new WeakMap<object, string>();

  private constructor(target: LogTarget, clock: Clock, failedOnly: boolean) {
    this.#target = target;
    this.#clock = clock;
    this.#failedOnly = failedOnly;
  }

  /** Undefined when requests are not told. */
  static of({ log, settings, clock }: Pick<ServerParts, "log" | "settings" | "clock">): RequestLog | undefined {
    const { level, requests } = settings.log;
    if (log === undefined || requests === "none" || !telling.has(level)) return undefined;
    return new RequestLog(log, clock, requests === "failed");
  }

  write({ request, reply, route, caller, started, id, failed }: Exchange): void {
    if (this.#failedOnly && !failed) return;
    const ms = Math.round((this.#clock.monotonic() - started) * 1_000) / 1_000;
    const path = route === undefined ? "" : (this.#members.get(route) ?? this.#member(route, "route", route.path));
    const principal = caller?.principal;
    const who =
      principal === undefined
        ? ""
        : (this.#members.get(principal) ?? this.#member(principal, "principal", `${principal.source}:${principal.id}`));
    this.#target.write(
      `{"level":${String(info)},"time":${String(this.#clock.now())},${this.#process},"id":${JSON.stringify(id)},` +
        `"method":"${request.method}"${path},"status":${String(reply.raw.statusCode)},"ms":${String(ms)}${who},"msg":"request"}\n`,
    );
  }

  #member(of: object, name: string, value: string): string {
    const member = `,"${name}":${JSON.stringify(value)}`;
    this.#members.set(of, member);
    return member;
  }
}
