import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { UnsecuredJWT, decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { OidcAuthenticator } from "../../src/access/oidc/oidc-authenticator.ts";
import type { OidcIssuersInput } from "../../src/access/oidc/settings.ts";
import { routes } from "../../src/api/routes.ts";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { systemClock } from "../../src/clock.ts";
import { initKeystead } from "../../src/keystead.ts";
import { openAuthenticators } from "../../src/server/authenticators.ts";
import { serverSettingsSchema } from "../../src/server/settings.ts";
import { startServer } from "../../src/server/start-server.ts";
import { outcome } from "../access/oidc/support/authenticator.ts";
import { missingForKeycloak } from "../support/keycloak-program.ts";
import { KeycloakServer, newSecret } from "../support/keycloak-server.ts";
import { codeOf, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";
import { KeycloakRealm } from "./support/keycloak-realm.ts";

const missing = missingForKeycloak();
let server: KeycloakServer | undefined;
let realm: KeycloakRealm;

beforeAll(async () => {
  if (missing !== undefined) return;
  server = await KeycloakServer.start();
  realm = await KeycloakRealm.make(server);
  await realm.addClient("kernel");
  await realm.giveRole("kernel", "keystead-admins");
}, 400_000);

afterAll(() => server?.stop());

beforeEach(({ skip }) => skip(missing !== undefined, missing));

async function openOidc(settings: Partial<OidcIssuersInput[string]> = {}): Promise<OidcAuthenticator> {
  const main = { issuer: realm.issuer, audience: "keystead", allowHttpLoopback: true, ...settings };
  const oidc = await OidcAuthenticator.open({ main }, systemClock);
  onTestFinished(() => oidc.close());
  return oidc;
}

function secretFile(secret: string): string {
  const file = join(temporaryFolder(), "secret");
  writeFileSync(file, secret, { mode: 0o600 });
  return file;
}

const caller = (token: string): object => ({ principal: { source: "oidc", id: `main:${String(decodeJwt(token).sub)}` } });
const refusal = /^UNAUTHENTICATED: /;

describe("a token of Keycloak", () => {
  it("speaks for a client on its own account, with its roles", async () => {
    const oidc = await openOidc();
    const token = await realm.token("kernel");
    expect(await outcome(oidc, token)).toMatchObject({
      principal: { source: "oidc", id: `main:${String(decodeJwt(token).sub)}`, name: "service-account-kernel" },
      claims: {
        "realm_access.roles": expect.arrayContaining(["keystead-admins"]) as unknown,
        scope: expect.arrayContaining(["profile"]) as unknown,
        azp: ["kernel"],
      },
    });
    expect(oidc.authenticate(token)).not.toBeInstanceOf(Promise);
  });

  it("speaks for a person; ID and refresh tokens speak for nobody", async () => {
    const password = newSecret();
    await realm.addUser("anna", password, "keystead-users");
    const { access_token, id_token = "", refresh_token = "" } = await realm.login("kernel", "anna", password);
    const oidc = await openOidc({ audience: ["keystead", "kernel"] });
    expect(await outcome(oidc, access_token)).toMatchObject({
      principal: { name: "anna" },
      claims: { "realm_access.roles": expect.arrayContaining(["keystead-users"]) as unknown },
    });
    expect(await outcome(oidc, id_token)).toMatch(/typ is not Bearer/);
    expect(await outcome(oidc, refresh_token)).toMatch(refusal);
  });

  it("is accepted as RFC 9068 writes it", async () => {
    await realm.addClient("modern", { "access.token.header.type.rfc9068": "true" });
    const token = await realm.token("modern");
    expect(decodeProtectedHeader(token).typ).toBe("at+jwt");
    expect(await outcome(await openOidc(), token)).toMatchObject(caller(token));
  });

  it.each([
    ["RS256", "rsa-generated", { keySize: "2048" }],
    ["PS256", "rsa-generated", { keySize: "2048" }],
    ["ES256", "ecdsa-generated", { ecdsaEllipticCurveKey: "P-256" }],
    ["EdDSA", "eddsa-generated", { eddsaEllipticCurveKey: "Ed25519" }],
  ])("may be signed with %s", async (alg, provider, config) => {
    await realm.addKey(provider, { ...(provider === "rsa-generated" && { algorithm: alg }), ...config });
    await realm.addClient(`signed-${alg}`, { "access.token.signed.response.alg": alg });
    const token = await realm.token(`signed-${alg}`);
    expect(decodeProtectedHeader(token).alg).toBe(alg);
    expect(await outcome(await openOidc(), token)).toMatchObject(caller(token));
    const others = (["RS256", "PS256", "ES256", "EdDSA"] as const).filter((other) => other !== alg);
    expect(await outcome(await openOidc({ algorithms: others }), token)).toMatch(/algorithm that is not accepted/);
  });

  it("for another audience is refused", async () => {
    await realm.addClient("stranger", {}, false);
    expect(await outcome(await openOidc(), await realm.token("stranger"))).toMatch(/aud does not hold/);
  });

  it("of another realm is refused", async () => {
    await realm.addClient("foreign");
    const oidc = await openOidc({ issuer: realm.issuer.replace(/keystead$/, "master") });
    expect(await outcome(oidc, await realm.token("foreign"))).toMatch(/none of the configured/);
  });

  it("is refused as soon as it expired", async () => {
    await realm.addClient("brief", { "access.token.lifespan": "3" });
    const oidc = await openOidc({ clockSkewSeconds: 0 });
    const token = await realm.token("brief");
    expect(await outcome(oidc, token)).toMatchObject(caller(token));
    await expect.poll(() => outcome(oidc, token), { timeout: 10_000 }).toMatch(/exp does not hold/);
    expect(Date.now()).toBeGreaterThanOrEqual((decodeJwt(token).exp ?? 0) * 1_000);
  });
});

describe("a forged token is refused", () => {
  it("with other claims, or without a signature", async () => {
    const oidc = await openOidc();
    const token = await realm.token("kernel");
    expect(await outcome(oidc, token)).toMatchObject(caller(token));
    const [header = "", , signature = ""] = token.split(".");
    const claims = { ...decodeJwt(token), realm_access: { roles: ["keystead-admins", "root"] } };
    const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
    expect(await outcome(oidc, `${header}.${payload}.${signature}`)).toMatch(/JWS_SIGNATURE_VERIFICATION_FAILED/);
    expect(await outcome(oidc, `${header}.${payload}.`)).toMatch(refusal);
    expect(await outcome(oidc, new UnsecuredJWT(claims).encode())).toMatch(/algorithm that is not accepted/);
  });

  it("with the realm's public key as a shared secret", async () => {
    const oidc = await openOidc();
    const token = await realm.token("kernel");
    const pem = await realm.publicKey();
    const header = Buffer.from(JSON.stringify({ ...decodeProtectedHeader(token), alg: "HS256" })).toString("base64url");
    const signed = `${header}.${token.split(".")[1] ?? ""}`;
    for (const secret of [pem, pem.trim(), pem.replaceAll(/-----.*-----|\n/g, "")]) {
      const forged = `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
      expect(await outcome(oidc, forged)).toMatch(/algorithm that is not accepted/);
    }
  });
});

describe("keys of a realm that are rotated", () => {
  it("verify new and old tokens, until they are withdrawn", async () => {
    const oidc = await openOidc();
    const removeOld = await realm.addKey("rsa-generated", { algorithm: "RS256", keySize: "2048" });
    const old = await realm.token("kernel");
    expect(await outcome(oidc, old)).toMatchObject(caller(old));
    await realm.addKey("rsa-generated", { algorithm: "RS256", keySize: "2048" });
    const next = await realm.token("kernel");
    expect(decodeProtectedHeader(next).kid).not.toBe(decodeProtectedHeader(old).kid);
    await expect.poll(() => outcome(oidc, next), { timeout: 10_000 }).toMatchObject(caller(next));
    expect(await outcome(await openOidc(), old)).toMatchObject(caller(old));
    await removeOld();
    expect(await outcome(await openOidc(), old)).toMatch(/key that the issuer does not have/);
    expect(await outcome(await openOidc(), next)).toMatchObject(caller(next));
  });
});

describe("a token that is taken back", () => {
  it.each([0, 2])("is refused when Keycloak is asked, within %d seconds", async (cacheSeconds) => {
    const introspection = { clientId: "keystead", clientSecretFile: secretFile(realm.secret), cacheSeconds };
    const [asking, trusting] = [await openOidc({ introspection }), await openOidc()];
    const [token, other] = [await realm.token("kernel"), await realm.token("kernel")];
    for (const each of [token, other]) expect(await outcome(asking, each)).toMatchObject(caller(each));
    await realm.revoke("kernel", token);
    if (cacheSeconds === 0) expect(await outcome(asking, token)).toMatch(/not active/);
    else await expect.poll(() => outcome(asking, token), { timeout: 5_000 }).toMatch(/not active/);
    expect(await outcome(asking, other)).toMatchObject(caller(other));
    // Without introspection it counts until it expires.
    expect(await outcome(trusting, token)).toMatchObject(caller(token));
  });

  it("can't be told from others by a client with a wrong secret, so none is accepted", async () => {
    const introspection = { clientId: "keystead", clientSecretFile: secretFile(newSecret()) };
    const oidc = await openOidc({ introspection });
    expect(await outcome(oidc, await realm.token("kernel"))).toMatch(/^OVERLOADED: .* answers with status 401/);
    expect(await oidc.examine()).toMatchObject([{ issuer: "main" }]);
    const right = await openOidc({ introspection: { ...introspection, clientSecretFile: secretFile(realm.secret) } });
    expect(await right.examine()).toEqual([]);
  });
});

it("tokens of Keycloak do at a server what its policies say of their roles, and nothing once they are not good", async () => {
  await realm.addClient("payroll");
  await realm.addClient("elsewhere", {}, false);
  const introspection = { clientId: "keystead", clientSecretFile: secretFile(realm.secret), cacheSeconds: 0 };
  const issuers = { main: { issuer: realm.issuer, audience: "keystead", allowHttpLoopback: true, introspection } };
  const settings = serverSettingsSchema.parse({ port: 0, issuers });
  const keystead = await initKeystead({ store: "memory:", masterKeys: testMasterKeys });
  onTestFinished(() => keystead.close());
  await keystead.principals.set("claim:realm_access.roles=keystead-admins", { roles: ["key-admin"] });
  await keystead.policies.create({ effect: "allow", subject: "claim:azp=payroll", actions: ["data.encrypt"], keys: ["pay"] });
  const folder = temporaryFolder();
  const authenticators = await openAuthenticators(keystead, settings, folder);
  const served = await startServer({ keystead, routes, authenticators, settings, folder, version: "test", checkAnswers: true });
  onTestFinished(() => served.close());
  const clientWith = (token: string): KeysteadClient => {
    const client = new KeysteadClient({ url: served.url, token, retries: 0 });
    onTestFinished(() => client.close());
    return client;
  };
  const token = await realm.token("payroll");
  const [admin, payroll] = [clientWith(await realm.token("kernel")), clientWith(token)];

  for (const name of ["pay", "else"]) await admin.keys.create({ name, purpose: "pii" });
  expect(await codeOf(admin.encrypt("pay", "x"))).toBe("ACCESS_DENIED");
  expect(await payroll.encrypt("pay", "x")).toMatch(/^ks1:pay:/);
  expect(await codeOf(payroll.encrypt("else", "x"))).toBe("ACCESS_DENIED");
  expect(await codeOf(payroll.keys.rotate("pay"))).toBe("ACCESS_DENIED");
  expect(await codeOf(clientWith(await realm.token("elsewhere")).encrypt("pay", "x"))).toBe("UNAUTHENTICATED");
  expect(await codeOf(clientWith(new UnsecuredJWT(decodeJwt(token)).encode()).encrypt("pay", "x"))).toBe("UNAUTHENTICATED");
  await realm.revoke("payroll", token);
  expect(await codeOf(payroll.encrypt("pay", "x"))).toBe("UNAUTHENTICATED");

  const id = `main:${String(decodeJwt(token).sub)}`;
  expect(await keystead.audit.show({ action: "data.encrypt" })).toMatchObject([
    { outcome: "denied", principal: { source: "oidc" } },
    { outcome: "allowed", key: "pay", principal: { source: "oidc", id, name: "service-account-payroll" } },
    { outcome: "denied", key: "else", principal: { id } },
    ...Array.from({ length: 3 }, () => ({ outcome: "denied", code: "UNAUTHENTICATED" })),
  ]);
});
