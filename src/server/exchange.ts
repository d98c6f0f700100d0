import { isIP } from "node:net";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import type { Caller, RequestOrigin } from "../access/caller.ts";
import type { AnyRoute } from "../api/route.ts";
import type { Clock } from "../clock.ts";
import type { ServedApi } from "./server-parts.ts";
import { KeysteadError } from "../errors.ts";
import { errorForLog } from "./log.ts";
import { type Problem, problemOf } from "./problem.ts";

/** What all exchanges of a server have. */
export interface ExchangeParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Headers of every answer. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A request and its answer, while it is under way. */
export class Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Undefined where no route has the address. */
  readonly route: AnyRoute | undefined;
  /** By the monotonic clock. */
  readonly started: number;
  /** Id and address, for the audit. Known from the beginning: the socket of a client that went away has no address. */
  readonly origin: RequestOrigin;
  /** Who asks; undefined until it is known. */
  caller: Caller | undefined;
  /** The services that have the call; undefined until it is handed to them. */
  api: ServedApi | undefined;
  /** True once the server itself has begun to record what became of it. */
  recorded = false;
  /** True once it was answered with a problem, or its stream ended with one. */
  failed = false;
  /** What its answer says beside its own type and length. */
  readonly headers: Record<string, string | number>;
  readonly #logger: Logger;
  #controller: AbortController | undefined;
  #isAborted = false;

  constructor(request: FastifyRequest, reply: FastifyReply, route: AnyRoute | undefined, { clock, logger, headers }: ExchangeParts) {
    this.request = request;
    this.reply = reply;
    this.route = route;
    this.started = clock.monotonic();
    this.origin = originOf(request);
    this.headers = { ...headers, "x-request-id": request.id };
    this.#logger = logger;
  }

  /** Answers at once, with a body of some type or without any. Fastify's reply would take apart and put together what is known already. */
  answer(status: number, type?: string, body = ""): void {
    const { reply, headers } = this;
    const length = Buffer.byteLength(body);
    if (type !== undefined) {
      headers["content-type"] = type;
      headers["content-length"] = length;
    }
    reply.raw.writeHead(status, headers);
    // From here on nothing else is sent.
    reply.hijack();
    // What is ASCII is the same in both, and not encoded then.
    reply.raw.end(body, length === body.length ? "latin1" : "utf8");
  }

  /** What its answer, or the end of its stream, says of a failure. The log tells of it, whatever its status is. */
  fail(error: unknown): Problem {
    this.failed = true;
    const problem = problemOf(error, this.id);
    if (problem.code === "INTERNAL") this.#logger.error({ id: this.id, error: errorForLog(error) }, "failed");
    return problem;
  }

  get id(): string {
    return this.request.id;
  }

  /** The path of its row in the route table, for whoever watches; `none` where no row has the address. */
  get path(): string {
    return this.route?.path ?? "none";
  }

  /** Aborts when the client goes away. Made when somebody looks: few do, and it costs. */
  get signal(): AbortSignal {
    if (this.#controller !== undefined) return this.#controller.signal;
    const controller = new AbortController();
    this.#controller = controller;
    const { raw } = this.reply;
    if (raw.destroyed || this.#isAborted) this.abort();
    raw.once("close", () => {
      if (!raw.writableFinished) this.abort();
    });
    return controller.signal;
  }

  /** Tells what is under way that nobody waits for its answer any more. */
  abort(): void {
    this.#isAborted = true;
    this.#controller?.abort(new KeysteadError("CANCELLED", "the client went away, or the server ends"));
  }
}

/** What a proxy says is an address only when it is one. */
function originOf({ id, ip, raw }: FastifyRequest): RequestOrigin {
  const { remoteAddress } = raw.socket;
  const address = ip === remoteAddress || isIP(ip) !== 0 ? ip : remoteAddress;
  return address === undefined ? { id } : { id, address };
}
