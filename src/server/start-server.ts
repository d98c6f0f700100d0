import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { Authenticator } from "../access/authenticator.ts";
import type { AnyRoute } from "../api/route.ts";
import { systemClock } from "../clock.ts";
import { systemRandom } from "../crypto/random.ts";
import { KeysteadError } from "../errors.ts";
import type { Keystead } from "../keystead.ts";
import { buildServer } from "./build-server.ts";
import { Health } from "./health.ts";
import { loggerOf } from "./log.ts";
import { OpenConnections } from "./open-connections.ts";
import type { LogTarget } from "./server-parts.ts";
import { ServerTls } from "./server-tls.ts";
import type { ServerSettings } from "./settings.ts";
import type { Watch } from "./watch.ts";

/** What is served, and how. */
export interface StartServerOptions {
  readonly keystead: Keystead;
  readonly routes: readonly AnyRoute[];
  readonly authenticators: readonly Authenticator[];
  readonly settings: ServerSettings;
  /** What relative paths in the settings are relative to. */
  readonly folder: string;
  readonly version: string;
  readonly log?: LogTarget;
  /** Checks every answer against its route's schema: for tests. */
  readonly checkAnswers?: boolean;
  /** What watches the server. Nobody when absent. */
  readonly watch?: Watch;
}

/** A server that listens. */
export interface RunningServer {
  /** Where clients reach it. */
  readonly url: string;
  /** Reads the files of TLS again. */
  reload(): Promise<void>;
  /**
   * Turns readiness red, stops accepting, and resolves once what is under way is answered; what is not within `shutdownSeconds` is cut off.
   * A connection on which no whole head of a request has come is closed after about a second.
   * Closing again waits for the same end.
   */
  close(): Promise<void>;
}

const millisecondsPerSecond = 1_000;

/** How often a server that ends looks for connections that have nothing under way. */
const sweepMilliseconds = 250;

/** How long a server that ends waits for the rest of a request's head. */
const headMilliseconds = 1_000;

/**
 * Builds a server on an open Keystead and listens. The Keystead is not closed with it.
 * @throws KeysteadError `INVALID_ARGUMENT` when it can't listen there or a file of TLS is not good, `INSECURE_FILE`
 */
export async function startServer(options: StartServerOptions): Promise<RunningServer> {
  const { keystead, settings, folder, log, watch } = options;
  const tls = settings.tls === undefined ? undefined : await ServerTls.open(settings.tls, folder);
  const health = new Health(async () => {
    const checks = await keystead.doctor.readiness();
    if (tls === undefined) return checks;
    const { problem } = tls;
    return [...checks, { check: "TLS", ready: problem === undefined, ...(problem !== undefined && { cause: problem }) }];
  }, systemClock);
  watch?.metrics.attach({ health: () => health.look() });
  for (const { lookups } of options.authenticators)
    if (lookups !== undefined) watch?.metrics.attach({ caches: { "oidc-tokens": lookups } });
  const server = buildServer({
    routes: options.routes,
    apiFor: (caller) => keystead.as(caller),
    authenticators: options.authenticators,
    recordCall: (event) => keystead.audit.trail.record(event),
    health: () => health.look(),
    version: options.version,
    settings,
    clock: systemClock,
    random: systemRandom,
    ...(tls !== undefined && { tls }),
    ...(log !== undefined && { log }),
    ...(options.checkAnswers === true && { checkAnswers: true }),
    ...(watch !== undefined && { observer: watch.observer }),
  });
  const connections = new OpenConnections(server.server);
  const logger = loggerOf({ settings, ...(log !== undefined && { log }) });
  tls?.onProblem((problem) => logger.error({ problem }, "the files of TLS are not good; the old ones stay in use"));
  await listen(server, settings).catch(async (error: unknown) => {
    tls?.close();
    await server.close();
    throw error;
  });
  const address = urlOf(server, settings);
  logger.info(`listening at ${address}`);
  let closed: Promise<void> | undefined;
  return {
    url: settings.publicUrl ?? address,
    reload: async () => tls?.reload(),
    close: () => {
      health.end();
      tls?.close();
      closed ??= closeWithin(server, connections, settings.shutdownSeconds * millisecondsPerSecond, logger);
      return closed;
    },
  };
}

async function listen(server: FastifyInstance, { host, port }: ServerSettings): Promise<void> {
  try {
    await server.listen({ host, port });
  } catch (cause) {
    const code: unknown = cause instanceof Error ? Reflect.get(cause, "code") : undefined;
    const why = code === "EADDRINUSE" ? "something listens there already" : "the system refuses it";
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      `the server can't listen on ${host}, port ${port}: ${why}; choose another --host or --port`,
      { cause },
    );
  }
}

async function closeWithin(server: FastifyInstance, connections: OpenConnections, milliseconds: number, logger: Logger): Promise<void> {
  const began = systemClock.monotonic();
  // What was busy when the end began waits for further requests afterwards, and Node closes it only then when it is told to.
  const sweep = setInterval(() => {
    if (systemClock.monotonic() - began >= headMilliseconds) connections.closeUnused();
    else server.server.closeIdleConnections();
  }, sweepMilliseconds);
  const timer = setTimeout(() => {
    const requests = connections.busy;
    if (requests > 0)
      logger.warn({ milliseconds, requests }, "requests were still under way when the time to end was over; they were cut off");
    else logger.info({ milliseconds }, "connections without a request were still open when the time to end was over; they were closed");
    connections.closeUnused();
    server.server.closeAllConnections();
  }, milliseconds);
  try {
    await server.close();
  } finally {
    clearInterval(sweep);
    clearTimeout(timer);
  }
}

function urlOf(server: FastifyInstance, { host, tls }: ServerSettings): string {
  const address = server.server.address();
  const port = isAddress(address) ? address.port : 0;
  return `${tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === "object" && address !== null;
}
