import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { inject, onTestFinished } from "vitest";
import type { Caller } from "../../src/access/caller.ts";
import type { KeysteadApi } from "../../src/api/keystead-api.ts";
import { routes } from "../../src/api/routes.ts";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { systemClock } from "../../src/clock.ts";
import { initKeystead, type Keystead, type KeysteadOptions } from "../../src/keystead.ts";
import { Metrics } from "../../src/metrics/metrics.ts";
import { openAuthenticators } from "../../src/server/authenticators.ts";
import { startServer } from "../../src/server/start-server.ts";
import { serverSettingsSchema } from "../../src/server/settings.ts";
import { canaries, registerSecret } from "../setup/canary.ts";
import { temporaryFolder, testMasterKeys } from "./test-keystead.ts";

/** An engine as a caller has it, and the engine itself. */
export interface ApiPlace {
  /** For a caller who may do everything. */
  readonly api: KeysteadApi;
  /** For a person of the role `admin`, to whom policies apply. Another name is another person. */
  readonly person: (name: string) => Promise<KeysteadApi>;
  readonly engine: Keystead;
  /** A folder for databases. */
  readonly folder: string;
}

/** Opens a new store somewhere. Its master keys are `main`, which wraps everything, and `next`. */
export type OpenPlace = (databases?: KeysteadOptions["databases"]) => Promise<ApiPlace>;

/** Where the engine may be, by name. */
export const apiPlaces: Readonly<Record<string, OpenPlace>> = {
  embedded: async (databases = {}) => {
    const folder = temporaryFolder();
    const engine = await openEngine(`sqlite:${join(folder, "keystead.db")}`, folder, databases);
    return { api: engine, person: (name) => Promise.resolve(engine.as(callerNamed(name))), engine, folder };
  },
  "HTTP on SQLite": async (databases = {}) => {
    const folder = temporaryFolder();
    return served(await openEngine(`sqlite:${join(folder, "keystead.db")}`, folder, databases), folder);
  },
  "HTTP on PostgreSQL": async (databases = {}) => {
    const folder = temporaryFolder();
    const store = `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`;
    return served(await openEngine(store, folder, databases), folder);
  },
};

async function openEngine(store: string, folder: string, databases: NonNullable<KeysteadOptions["databases"]>): Promise<Keystead> {
  const auditDirectory = join(folder, "audit");
  const masterKeys = { ...testMasterKeys, next: { bytes: canaries.importedKey.bytes } };
  const metrics = new Metrics({ version: "test", clock: systemClock });
  const engine = await initKeystead({ store, masterKeys, auditDirectory, databases, metrics, settings: { refreshBound: 50 } });
  onTestFinished(() => engine.close());
  return engine;
}

function callerNamed(name: string): Caller {
  return { principal: { source: "oidc", id: `main:${name}` }, roles: ["admin"] };
}

/** The engine behind a server, reached by clients with tokens: one that may do everything, and one of each person's own. */
async function served(engine: Keystead, folder: string): Promise<ApiPlace> {
  await engine.policies.create({ effect: "allow", subject: "role:everything", actions: ["*"] });
  const { token } = await engine.tokens.create({ name: "test", roles: ["everything"] });
  registerSecret(token);
  const settings = serverSettingsSchema.parse({ port: 0 });
  const authenticators = await openAuthenticators(engine, settings, folder);
  const server = await startServer({ keystead: engine, routes, authenticators, settings, folder, version: "test", checkAnswers: true });
  onTestFinished(() => server.close());
  const clientOf = (token: string): KeysteadClient => {
    const client = new KeysteadClient({ url: server.url, token });
    onTestFinished(() => client.close());
    return client;
  };
  const person = async (name: string): Promise<KeysteadApi> => {
    const made = await engine.as(callerNamed(name)).tokens.create({ name, roles: ["admin"] });
    registerSecret(made.token);
    return clientOf(made.token);
  };
  return { api: clientOf(token), person, engine, folder };
}
