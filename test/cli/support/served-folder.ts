import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { routes } from "../../../src/api/routes.ts";
import { type InitOptions, initKeystead, type Keystead } from "../../../src/keystead.ts";
import { openAuthenticators } from "../../../src/server/authenticators.ts";
import { startServer } from "../../../src/server/start-server.ts";
import { serverSettingsSchema } from "../../../src/server/settings.ts";
import { registerSecret } from "../../setup/canary.ts";
import { testMasterKeys } from "../../support/test-keystead.ts";

/** A store that is served, and what commands are told to reach it. */
export interface ServedFolder {
  readonly engine: Keystead;
  readonly env: Readonly<Record<string, string>>;
  /** Gives commands another token. */
  readonly useToken: (token: string) => void;
}

/**
 * Serves a store in a folder; the token in its file may do everything. Closed after the test.
 * @param more settings of the server
 */
export async function serveFolder(folder: string, options: Partial<InitOptions> = {}, more: object = {}): Promise<ServedFolder> {
  const engine = await initKeystead({
    store: `sqlite:${join(folder, "keystead.db")}`,
    masterKeys: testMasterKeys,
    auditDirectory: join(folder, "audit"),
    settings: { refreshBound: 50 },
    ...options,
  });
  onTestFinished(() => engine.close());
  await engine.policies.create({ effect: "allow", subject: "role:everything", actions: ["*"] });
  const { token } = await engine.tokens.create({ name: "all", roles: ["everything"] });
  const file = join(folder, "token-for-commands");
  const useToken = (text: string): void => {
    registerSecret(text);
    writeFileSync(file, `${text}\n`, { mode: 0o600 });
  };
  useToken(token);
  const settings = serverSettingsSchema.parse({ port: 0, ...more });
  const authenticators = await openAuthenticators(engine, settings, folder);
  const server = await startServer({ keystead: engine, routes, authenticators, settings, folder, version: "test", checkAnswers: true });
  onTestFinished(() => server.close());
  return { engine, useToken, env: { KEYSTEAD_ADDR: server.url, KEYSTEAD_TOKEN_FILE: file } };
}

/** Names a database in a data folder's configuration. */
export function nameDatabase(folder: string, name: string, url: string): void {
  const file = join(folder, "keystead.json");
  const configuration: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (typeof configuration !== "object" || configuration === null) throw new Error("no configuration");
  writeFileSync(file, JSON.stringify({ ...configuration, databases: { [name]: url } }));
}
