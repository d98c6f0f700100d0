import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { routes } from "../../src/api/routes.ts";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { systemClock } from "../../src/clock.ts";
import { initKeystead } from "../../src/keystead.ts";
import { openAuthenticators } from "../../src/server/authenticators.ts";
import { serverSettingsSchema } from "../../src/server/settings.ts";
import { startServer } from "../../src/server/start-server.ts";
import { type Changes, TestIssuer } from "../access/oidc/support/test-issuer.ts";
import { privateFile } from "../datasets/codecs/foreign.ts";
import { registerSecret } from "../setup/canary.ts";
import { TestAuthority } from "../support/certificates.ts";
import { TestClock } from "../support/test-clock.ts";
import { codeOf, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";

const secret = "what the client of introspection knows";
registerSecret(secret);

it("claims of an issuer in the settings give roles and rights over HTTP, its files lie beside the settings, and a revoked token ends", async () => {
  const folder = temporaryFolder();
  const authority = new TestAuthority(temporaryFolder());
  const issuer = await TestIssuer.start(new TestClock(systemClock.now()), authority.issue({ name: "localhost", names: ["DNS:localhost"] }));
  copyFileSync(authority.file, join(folder, "ca.pem"));
  privateFile(folder, "secret", secret);
  const introspection = { clientId: "keystead", clientSecretFile: "secret", cacheSeconds: 0 };
  const issuers = { realm: { issuer: issuer.url, audience: "keystead", ca: "ca.pem", introspection } };
  const settings = serverSettingsSchema.parse({ port: 0, issuers });
  const keystead = await initKeystead({ store: "memory:", masterKeys: testMasterKeys });
  onTestFinished(() => keystead.close());
  await keystead.principals.set("claim:realm_access.roles=keystead-admins", { roles: ["key-admin"] });
  await keystead.policies.create({ effect: "allow", subject: "claim:groups=/payroll", actions: ["data.encrypt"], keys: ["pay"] });
  await keystead.policies.create({ effect: "deny", subject: "claim:groups=/left", actions: ["*"] });
  const authenticators = await openAuthenticators(keystead, settings, folder);
  const server = await startServer({ keystead, routes, authenticators, settings, folder, version: "test" });
  onTestFinished(() => server.close());
  const callerWith = async (changes: Changes) => {
    const token = await issuer.token(changes);
    issuer.active.add(token);
    const client = new KeysteadClient({ url: server.url, token, retries: 0 });
    onTestFinished(() => client.close());
    return { client, token };
  };
  const none = { realm_access: { roles: ["users"] } };
  const admin = await callerWith({});
  const clerk = await callerWith({ ...none, groups: ["/payroll"], sub: "clerk" });
  const other = await callerWith({ ...none, sub: "other" });
  const gone = await callerWith({ groups: ["/payroll", "/left"], sub: "gone" });

  await admin.client.keys.create({ name: "pay", purpose: "pii" });
  await admin.client.keys.create({ name: "else", purpose: "pii" });
  expect(await codeOf(admin.client.encrypt("pay", "x"))).toBe("ACCESS_DENIED");
  expect(await clerk.client.encrypt("pay", "x")).toMatch(/^ks1:pay:/);
  expect(await codeOf(clerk.client.encrypt("else", "x"))).toBe("ACCESS_DENIED");
  expect(await codeOf(clerk.client.keys.rotate("pay"))).toBe("ACCESS_DENIED");
  for (const { client } of [other, gone]) expect(await codeOf(client.encrypt("pay", "x"))).toBe("ACCESS_DENIED");
  expect(await codeOf(gone.client.keys.rotate("pay"))).toBe("ACCESS_DENIED");
  const records = await keystead.audit.show({ action: "data.encrypt" });
  expect(records).toMatchObject([
    { principal: { source: "oidc", id: "realm:7f3a" }, outcome: "denied" },
    { principal: { id: "realm:clerk" }, outcome: "allowed" },
    { principal: { id: "realm:clerk" }, outcome: "denied" },
    { principal: { id: "realm:other" }, outcome: "denied" },
    { principal: { id: "realm:gone" }, outcome: "denied" },
  ]);
  issuer.active.delete(clerk.token);
  expect(await codeOf(clerk.client.encrypt("pay", "x"))).toBe("UNAUTHENTICATED");
});
