import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { registerSecret } from "../../setup/canary.ts";
import { temporaryFolder } from "../../support/test-keystead.ts";
import { outcome, startOidc } from "./support/authenticator.ts";
import { TestIssuer, json, paths } from "./support/test-issuer.ts";

const anna = { principal: { id: "main:7f3a" } };
const revoked = /^UNAUTHENTICATED: .*not active/;
const overload = /^OVERLOADED: /;
const secret = "s3cret: +%&ü 0123456789";
registerSecret(secret);

function secretFile(mode = 0o600): string {
  const file = join(temporaryFolder(), "secret");
  writeFileSync(file, `${secret}\n`);
  chmodSync(file, mode);
  return file;
}

async function startIntrospected(cacheSeconds?: number) {
  const introspection = { clientId: "key:stead", clientSecretFile: secretFile(), ...(cacheSeconds !== undefined && { cacheSeconds }) };
  const started = await startOidc({ introspection, timeoutSeconds: 1 });
  const token = await started.issuer.token();
  started.issuer.active.add(token);
  return { ...started, token };
}

describe("introspection", () => {
  it("is asked by the configured client, and its answer counts for as long as configured", async () => {
    const { issuer, oidc, clock, token } = await startIntrospected(10);
    expect(await outcome(oidc, token)).toMatchObject(anna);
    const [question] = issuer.introspected;
    expect(new URLSearchParams(question?.body).get("token")).toBe(token);
    const [user = "", password = ""] = Buffer.from(question?.authorization?.slice(6) ?? "", "base64")
      .toString("utf8")
      .split(":");
    expect([user, password].map((part) => new URLSearchParams(`x=${part}`).get("x"))).toEqual(["key:stead", secret]);
    issuer.active.clear();
    clock.advance(9_999);
    expect(oidc.authenticate(token)).toMatchObject(anna);
    clock.advance(1);
    expect(await outcome(oidc, token)).toMatch(revoked);
    expect(await outcome(oidc, token)).toMatch(revoked);
    expect(issuer.introspected).toHaveLength(3);
    issuer.active.add(token);
    expect(await outcome(oidc, token)).toMatchObject(anna);
  });

  it("of every call refuses a token as soon as it is revoked", async () => {
    const { issuer, oidc, token } = await startIntrospected(0);
    expect(await outcome(oidc, token)).toMatchObject(anna);
    issuer.active.clear();
    expect(await outcome(oidc, token)).toMatch(revoked);
    expect(await Promise.all([1, 2, 3].map(() => outcome(oidc, token)))).toEqual(Array(3).fill(expect.stringMatching(revoked)));
    expect(issuer.introspected).toHaveLength(5);
  });

  it("is one question for all that wait for the same", async () => {
    const { issuer, oidc, token, clock } = await startIntrospected();
    expect(await outcome(oidc, token)).toMatchObject(anna);
    clock.advance(5_000);
    for (const ended of await Promise.all(Array.from({ length: 100 }, () => outcome(oidc, token)))) expect(ended).toMatchObject(anna);
    expect(issuer.introspected).toHaveLength(2);
  });

  it("is another question for who comes when the answer on its way is too old already", async () => {
    const { issuer, oidc, token, clock } = await startIntrospected();
    await oidc.authenticate(token);
    const held: (() => void)[] = [];
    issuer.answers.set(paths.introspect, (...call) => {
      const active = held.length === 0;
      held.push(() => json({ active })(...call));
    });
    clock.advance(5_000);
    const [early, beside] = [outcome(oidc, token), outcome(oidc, token)];
    await expect.poll(() => held.length).toBe(1);
    clock.advance(5_000);
    const late = outcome(oidc, token);
    await expect.poll(() => held.length).toBe(2);
    for (const answer of held) answer();
    expect([await early, await beside]).toMatchObject([anna, anna]);
    expect(await late).toMatch(revoked);
    // What was said to the early ones is not believed any more.
    issuer.answers.clear();
    issuer.active.clear();
    expect(await outcome(oidc, token)).toMatch(revoked);
  });

  it("is not asked about a token that does not verify", async () => {
    const { issuer, oidc, token } = await startIntrospected();
    const bad = `${token.slice(0, -8)}AAAAAAAA`;
    issuer.active.add(bad);
    expect(await outcome(oidc, bad)).toMatch(/^UNAUTHENTICATED/);
    expect(issuer.introspected).toEqual([]);
  });

  it("that says that the token is somebody else's refuses it", async () => {
    const { issuer, oidc, token } = await startIntrospected();
    issuer.answers.set(paths.introspect, json({ active: true, sub: "somebody" }));
    expect(await outcome(oidc, token)).toMatch(/^UNAUTHENTICATED: .*somebody else/);
    issuer.answers.set(paths.introspect, json({ active: true, sub: "7f3a" }));
    expect(await outcome(oidc, token)).toMatchObject(anna);
  });

  it.each<[string, Parameters<TestIssuer["answers"]["set"]>[1]]>([
    ["never", () => undefined],
    ["with an error", json({ active: true }, 401)],
    ["with a redirect", json({ active: true }, 307, { location: "https://id.example.org" })],
    ["with text", json({ active: "true" })],
    ["with nothing", json({})],
    ["with a hang-up", (_request, response) => void response.destroy()],
  ])("that answers %s lets no token through", async (_what, answer) => {
    const { issuer, oidc, token, clock } = await startIntrospected();
    expect(await outcome(oidc, token)).toMatchObject(anna);
    issuer.answers.set(paths.introspect, answer);
    clock.advance(5_000);
    expect(await outcome(oidc, token)).toMatch(overload);
    expect(await outcome(oidc, token)).toMatch(overload);
  });

  it("gives the client's secret to no other host that discovery names", async () => {
    const { issuer, oidc, token, clock } = await startIntrospected();
    const other = await TestIssuer.start(clock);
    const introspection_endpoint = other.addressOf(paths.introspect);
    issuer.answers.set(paths.discovery, json({ issuer: issuer.url, jwks_uri: issuer.addressOf(paths.jwks), introspection_endpoint }));
    expect(await outcome(oidc, token)).toMatch(/names no address for introspection on its own host/);
    expect(other.asked).toEqual([]);
  });

  it("needs a secret that nobody else may read", async () => {
    const introspection = { clientId: "keystead", clientSecretFile: secretFile(0o644) };
    await expect(startOidc({ introspection })).rejects.toMatchObject({ code: "INSECURE_FILE" });
    const empty = secretFile();
    writeFileSync(empty, "\n");
    await expect(startOidc({ introspection: { ...introspection, clientSecretFile: empty } })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});
