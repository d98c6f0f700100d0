import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { onTestFinished } from "vitest";
import type { Caller } from "../../../src/access/caller.ts";
import { routes } from "../../../src/api/routes.ts";
import { KeysteadClient } from "../../../src/client/keystead-client.ts";
import { systemClock } from "../../../src/clock.ts";
import { systemRandom } from "../../../src/crypto/random.ts";
import type { InitOptions, Keystead } from "../../../src/keystead.ts";
import { buildServer } from "../../../src/server/build-server.ts";
import { serverSettingsSchema } from "../../../src/server/settings.ts";
import { recordOutput } from "../../setup/canary.ts";
import { createTestKeystead } from "../../support/test-keystead.ts";

/** Who asks in a test, by its token. */
export type TestCallers = Readonly<Record<string, Omit<Caller, "request">>>;

/** The route table on a store in memory. */
export interface ServedEngine {
  readonly keystead: Keystead;
  readonly server: FastifyInstance;
}

/** A caller with roles, of an identity provider. */
export function callerNamed(id: string, ...roles: readonly string[]): Omit<Caller, "request"> {
  return { principal: { source: "oidc", id: `main:${id}` }, roles };
}

// What is injected leaves timers no turn once it is shed: a machine that is busy for a moment must not shed it.
const limits = { eventLoopDelayMilliseconds: 60_000 };

/** Serves the route table; the token of a caller is its name. Policies decide. Closed after the test. */
export async function serveEngine(callers: TestCallers, options: Partial<InitOptions> = {}): Promise<ServedEngine> {
  const { keystead } = await createTestKeystead(options);
  const server = buildServer({
    routes,
    apiFor: (caller) => keystead.as(caller),
    authenticators: [{ authenticate: (token) => callers[token] }],
    recordCall: (event) => keystead.audit.trail.record(event),
    health: async () => [{ check: "store", ready: true }],
    version: "0.0.0",
    settings: serverSettingsSchema.parse({ rateLimits: { failedAuthenticationsPerMinute: 100_000 }, limits }),
    clock: systemClock,
    random: systemRandom,
    log: { write: recordOutput },
    checkAnswers: true,
  });
  onTestFinished(async () => {
    server.server.closeAllConnections();
    await server.close();
  });
  return { keystead, server };
}

/** Lets a server listen to a free port, and tells which. */
export async function portOf({ server }: ServedEngine): Promise<number> {
  await server.listen({ host: "127.0.0.1", port: 0 });
  const address: AddressInfo | string | null = server.server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Lets a server listen, and gives clients of it by their tokens. */
export async function clientsOf(engine: ServedEngine): Promise<(token: string) => KeysteadClient> {
  const port = await portOf(engine);
  return (token) => {
    const client = new KeysteadClient({ url: `http://127.0.0.1:${String(port)}`, token, retries: 0 });
    onTestFinished(() => client.close());
    return client;
  };
}
