import { hostname } from "node:os";
import type { Clock } from "../clock.ts";
import type { Exchange } from "./exchange.ts";
import type { LogTarget, ServerParts } from "./server-parts.ts";
import type { ServerSettings } from "./settings.ts";

/** pino's number of the level, as in the other lines. */
const info = 30;

/** The least status of the requests that are told, by the setting; infinite: of none. */
const leastStatus: Readonly<Record<ServerSettings["log"]["requests"], number>> = { none: Number.POSITIVE_INFINITY, failed: 400, all: 0 };

/** Levels of the log at which requests are told. */
const telling: ReadonlySet<string> = new Set(["trace", "debug", "info"]);

/**
 * Writes a line for each request that is to be told, in the form of the other lines. It writes the JSON itself: for one line in each call
 * pino would cost as much as encrypting does.
 */
export class RequestLog {
  readonly #target: LogTarget;
  readonly #clock: Clock;
  readonly #least: number;
  readonly #process = `"pid":${String(process.pid)},"hostname":${JSON.stringify(hostname())}`;
  /** Members that many lines have, as they are written. */
  readonly #members = new WeakMap<object, string>();

  private constructor(target: LogTarget, clock: Clock, least: number) {
    this.#target = target;
    this.#clock = clock;
    this.#least = least;
  }

  /** Undefined when requests are not told. */
  static of({ log, settings, clock }: Pick<ServerParts, "log" | "settings" | "clock">): RequestLog | undefined {
    const least = leastStatus[settings.log.requests];
    return log === undefined || least === Number.POSITIVE_INFINITY || !telling.has(settings.log.level)
      ? undefined
      : new RequestLog(log, clock, least);
  }

  write({ request, reply, route, caller, started, id }: Exchange): void {
    if (reply.raw.statusCode < this.#least) return;
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
