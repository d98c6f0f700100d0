import { createServer as createHttpServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { AnyRoute } from "../api/route.ts";
import { RandomPool } from "../crypto/random.ts";
import { KeysteadError } from "../errors.ts";
import { allRoutes } from "./all-routes.ts";
import { answerClientError } from "./client-error.ts";
import { fromFramework } from "./framework-error.ts";
import { PathMethods } from "./path-methods.ts";
import { problemOf, problemType } from "./problem.ts";
import { makeRequestId, requestIdOf } from "./request-id.ts";
import { RequestServer } from "./request-server.ts";
import { targetProblem } from "./request-target.ts";
import { securityHeaders } from "./security-headers.ts";
import type { ServerParts } from "./server-parts.ts";
import type { ServerSettings } from "./settings.ts";

/** How often connections are looked at for requests that don't arrive, at most. */
const mostCheckMilliseconds = 5_000;

/**
 * Builds the HTTP server of a route table; it listens to nothing yet. Close it before what its parts stand on.
 *
 * @example
 * const server = buildServer(parts);
 * const answer = await server.inject({ url: "/livez" });
 */
export function buildServer(parts: ServerParts): FastifyInstance {
  const { settings } = parts;
  // Ids are no secrets, and one by one they cost as much as all checks of a request.
  const random = new RandomPool(parts.random, parts.clock);
  const routes = allRoutes(parts);
  const methods = new PathMethods(routes);
  const requests = new RequestServer(parts);
  const reject = (error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> =>
    fail(requests, fromFramework(error), request, reply);
  const server = fastify({
    serverFactory: (handler) => makeServer(parts, random, handler),
    genReqId: (request) => requestIdOf(request, random),
    requestIdHeader: false,
    trustProxy: trusted(settings.trustProxy),
    // Fastify with a log listens to the end of each answer, whether it has anything to say of it or not.
    logger: false,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    exposeHeadRoutes: false,
    frameworkErrors: (error, request, reply) => {
      void reject(error, request, reply);
    },
    clientErrorHandler: (error, socket) => {
      answerClientError(error, socket, makeRequestId(random));
    },
    routerOptions: { maxParamLength: settings.limits.urlBytes, querystringParser: () => ({}) },
  });
  // Bodies are read once it is known who sends them.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", (_request: FastifyRequest, _payload: unknown, done: (error: null) => void) => {
    done(null);
  });
  const miss = (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const target = request.raw.url ?? "";
    const allowed = methods.of(target);
    const headers = allowed.length > 0 ? { allow: allowed.join(", ") } : {};
    return requests.reject(request, reply, targetProblem(target, settings.limits.urlBytes) ?? nowhere(request.method, allowed), headers);
  };
  server.setNotFoundHandler(miss);
  // Where no route is, Fastify still has opinions on the request: of QUERY it wants a content type.
  server.setErrorHandler((error, request, reply) => (request.is404 ? miss(request, reply) : reject(error, request, reply)));
  for (const route of routes) {
    const withHead = route.method === "GET" && route.stream === undefined;
    server.route({
      method: route.method,
      url: route.path,
      exposeHeadRoute: withHead,
      config: { keystead: route },
      // Served before Fastify looks for a parser of the body and for a schema: there is neither.
      onRequest: (request, reply) => requests.serve(route, request, reply),
      handler: unreachable,
    });
  }
  server.addHook("preClose", (done) => {
    requests.end();
    done();
  });
  server.addHook("onClose", (_instance, done) => {
    requests.close();
    done();
  });
  return server;
}

/** Every request is answered before. */
function unreachable(): never {
  throw new KeysteadError("INTERNAL", "a request was not answered by its route");
}

/** Answers a request that Fastify could not take. @param error - as Keystead says it */
function fail(requests: RequestServer, error: Error, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const route = request.routeOptions.config.keystead;
  return route === undefined ? requests.reject(request, reply, error) : requests.serve(route, request, reply, error);
}

declare module "fastify" {
  interface FastifyContextConfig {
    keystead?: AnyRoute;
  }
}

function trusted(proxies: ServerSettings["trustProxy"]): false | string | string[] {
  if (proxies === "none") return false;
  return typeof proxies === "string" ? proxies : [...proxies];
}

function nowhere(method: string, allowed: readonly string[]): KeysteadError {
  return allowed.length > 0
    ? new KeysteadError("METHOD_NOT_ALLOWED", `the address has no ${method}; it has ${allowed.join(", ")}`)
    : new KeysteadError("NOT_FOUND", "the server has no such address; GET /openapi.json lists those it has");
}

function makeServer({ settings, tls }: ServerParts, random: RandomPool, handler: RequestListener): Server {
  const { limits } = settings;
  const options: ServerOptions = {
    maxHeaderSize: limits.headerBytes,
    insecureHTTPParser: false,
    // It is asked for where it can be answered with a problem.
    requireHostHeader: false,
    headersTimeout: limits.headersMilliseconds,
    // Bodies have a time limit of their own: this one could not let streams go on.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveMilliseconds,
    connectionsCheckingInterval: Math.min(mostCheckMilliseconds, Math.ceil(limits.headersMilliseconds / 2)),
  };
  const server =
    tls === undefined
      ? createHttpServer(options, handler)
      : createHttpsServer(
          {
            ...options,
            ...tls.context,
            requestCert: tls.requiresCertificate,
            rejectUnauthorized: tls.requiresCertificate,
            handshakeTimeout: limits.headersMilliseconds,
          },
          handler,
        );
  if (tls !== undefined && "setSecureContext" in server) tls.follow((context) => server.setSecureContext(context));
  server.maxConnections = limits.connections;
  server.setTimeout(limits.idleMilliseconds);
  // Without a listener Node would answer 417 with no body.
  server.on("checkExpectation", (_request, response) => {
    const problem = problemOf(
      new KeysteadError("INVALID_ARGUMENT", "the server can't do what Expect says; leave it out"),
      makeRequestId(random),
    );
    const body = Buffer.from(JSON.stringify(problem));
    const head = { "content-type": `${problemType}; charset=utf-8`, "content-length": body.length, "x-request-id": problem.requestId };
    response.writeHead(problem.status, { ...securityHeaders(settings), ...head, connection: "close" }).end(body);
  });
  return server;
}
