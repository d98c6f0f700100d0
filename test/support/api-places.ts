import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { inject, onTestFinished } from "vitest";
import type { KeysteadApi } from "../../src/api/keystead-api.ts";
import { routes } from "../../src/api/routes.ts";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { initKeystead, type Keystead, type KeysteadOptions } from "../../src/keystead.ts";
import { openAuthenticators } from "../../src/server/authenticators.ts";
import { startServer } from "../../src/server/start-server.ts";
import { serverSettingsSchema } from "../../src/server/settings.ts";
import { registerSecret } from "../setup/canary.ts";
import { temporaryFolder, testMasterKeys } from "./test-keystead.ts";

/** An engine as a caller has it, and the engine itself. */
export interface ApiPlace {
  readonly api: KeysteadApi;
  readonly engine: Keystead;
  /** A folder for databases. */
  readonly folder: string;
}

/** Where the engine may be, by name. */
export const apiPlaces: Readonly<Record<string, (databases?: KeysteadOptions["databases"]) => Promise<ApiPlace>>> = {
  embedded: async (databases = {}) => {
    const folder = temporaryFolder();
    const engine = await openEngine(`sqlite:${join(folder, "keystead.db")}`, folder, databases);
    return { api: engine, engine, folder };
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
  const engine = await initKeystead({ store, masterKeys: testMasterKeys, auditDirectory, databases, settings: { refreshBound: 50 } });
  onTestFinished(() => engine.close());
  return engine;
}

/** The engine behind a server, reached by a client whose token may do everything. */
async function served(engine: Keystead, folder: string): Promise<ApiPlace> {
  await engine.policies.create({ effect: "allow", subject: "role:everything", actions: ["*"] });
  const { token } = await engine.tokens.create({ name: "test", roles: ["everything"] });
  registerSecret(token);
  const settings = serverSettingsSchema.parse({ port: 0 });
  const authenticators = await openAuthenticators(engine, settings, folder);
  const server = await startServer({ keystead: engine, routes, authenticators, settings, folder, version: "test", checkAnswers: true });
  const client = new KeysteadClient({ url: server.url, token });
  onTestFinished(async () => {
    await client.close();
    await server.close();
  });
  return { api: client, engine, folder };
}
