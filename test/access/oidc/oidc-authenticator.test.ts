import { describe, expect, it } from "vitest";
import { OidcAuthenticator } from "../../../src/access/oidc/oidc-authenticator.ts";
import { openOidc, outcome, startOidc } from "./support/authenticator.ts";
import { TestIssuer } from "./support/test-issuer.ts";

describe("a good token", () => {
  it("speaks for its subject, with the claims that policies see", async () => {
    const { issuer, oidc } = await startOidc();
    expect(await oidc.authenticate(await issuer.token())).toEqual({
      principal: { source: "oidc", id: "main:7f3a", name: "anna" },
      claims: {
        "realm_access.roles": ["keystead-admins", "users"],
        "resource_access.keystead.roles": ["operator"],
        scope: ["openid", "email"],
        azp: ["kernel"],
      },
    });
  });

  it.each(["RS256", "PS256", "ES256", "EdDSA", "Ed25519"])("may be signed with %s", async (alg) => {
    const { issuer, oidc } = await startOidc();
    issuer.rotate("next", alg);
    expect(await outcome(oidc, await issuer.token())).toMatchObject({ principal: { id: "main:7f3a" } });
  });

  it("has another caller than a token of the same subject of another issuer", async () => {
    const { issuer, clock } = await startOidc();
    const other = await TestIssuer.start(clock);
    const common = { audience: "keystead", allowHttpLoopback: true };
    const oidc = await openOidc({ main: { issuer: issuer.url, ...common }, partner: { issuer: other.url, ...common } }, clock);
    expect(await outcome(oidc, await issuer.token())).toMatchObject({ principal: { id: "main:7f3a" } });
    expect(await outcome(oidc, await other.token())).toMatchObject({ principal: { id: "partner:7f3a" } });
  });

  it("may name no key where the issuer has only one", async () => {
    const { issuer, oidc } = await startOidc();
    const token = await issuer.token({}, { kid: undefined });
    expect(await outcome(oidc, token)).toMatchObject({ principal: { id: "main:7f3a" } });
    issuer.rotate("next");
    expect(
      await outcome(await openOidc({ main: { issuer: issuer.url, audience: "keystead", allowHttpLoopback: true } }, issuer.clock), token),
    ).toMatch(/^UNAUTHENTICATED: .*which of the issuer's keys/);
  });

  it("may be for several, one of whom is an audience of the settings", async () => {
    const { issuer, oidc } = await startOidc({ audience: ["keystead", "keystead-eu"] });
    expect(await outcome(oidc, await issuer.token({ aud: ["account", "keystead-eu"] }))).toMatchObject({ principal: { id: "main:7f3a" } });
  });
});

describe("a verified token", () => {
  it("is answered at once and without asking, for a minute", async () => {
    const { issuer, oidc, clock } = await startOidc();
    const token = await issuer.token();
    const caller = await oidc.authenticate(token);
    const asked = issuer.asked.length;
    clock.advance(59_999);
    expect(oidc.authenticate(token)).toBe(caller);
    clock.advance(1);
    const again = oidc.authenticate(token);
    expect(again).toBeInstanceOf(Promise);
    expect(await again).toEqual(caller);
    expect(issuer.asked).toHaveLength(asked);
  });

  it("is never remembered beyond its expiry", async () => {
    const { issuer, oidc, clock } = await startOidc({ clockSkewSeconds: 0 });
    const token = await issuer.token({ exp: Math.floor(clock.now() / 1_000) + 10 });
    await oidc.authenticate(token);
    clock.advance(9_999);
    expect(oidc.authenticate(token)).not.toBeInstanceOf(Promise);
    clock.advance(1);
    expect(await outcome(oidc, token)).toMatch(/^UNAUTHENTICATED: the token's exp/);
    expect(oidc.lookups).toEqual({ hits: 1, misses: 2 });
  });

  it("is verified again when the clock was set", async () => {
    const { issuer, oidc, clock } = await startOidc();
    const token = await issuer.token();
    await oidc.authenticate(token);
    clock.jump(-5_000);
    const again = oidc.authenticate(token);
    expect(again).toBeInstanceOf(Promise);
    await again;
  });

  it("can't be changed by who gets its caller", async () => {
    const { issuer, oidc } = await startOidc();
    const caller = await oidc.authenticate(await issuer.token());
    expect([caller, caller?.principal, caller?.claims].every(Object.isFrozen)).toBe(true);
    expect(Object.values(caller?.claims ?? {}).every(Object.isFrozen)).toBe(true);
  });

  it("is forgotten when ten thousand others came after it", async () => {
    const { issuer, oidc } = await startOidc();
    issuer.rotate("fast", "EdDSA");
    const [used, unused] = [await issuer.token({ jti: "used" }), await issuer.token({ jti: "unused" })];
    for (const token of [used, unused]) await oidc.authenticate(token);
    for (let count = 1; count < 10_000; count += 1) {
      await oidc.authenticate(await issuer.token({ jti: String(count) }));
      if (count % 1_000 === 0) await oidc.authenticate(used);
    }
    expect(oidc.authenticate(used)).not.toBeInstanceOf(Promise);
    const again = oidc.authenticate(unused);
    expect(again).toBeInstanceOf(Promise);
    await again;
  });
});

describe("what is no token of an issuer", () => {
  it.each([
    "",
    "kst_7f3a0000",
    ".",
    "..",
    "a.b.c",
    "a.b.c.d.e",
    "header.payload",
    "e30.e30.e30",
    "bnVsbA.e30.",
    "W10.e30.",
    "eyJhbGciOjF9.e30.",
    "eyJhbGciOiJub25lIn0=.e30.",
    "eyJhbGciOiJub25lIn0.e30.é",
  ])("%j is left to others", async (token) => {
    const { oidc, issuer } = await startOidc();
    expect(await oidc.authenticate(token)).toBeUndefined();
    expect(issuer.asked).toEqual([]);
  });
});

describe("OidcAuthenticator.open", () => {
  const good = { issuer: "https://id.example.org", audience: "keystead" };

  it.each<[string, unknown, RegExp]>([
    ["an address without TLS", { main: { ...good, issuer: "http://id.example.org" } }, /main\.issuer: must be an https address/],
    ["http on this machine that is not allowed", { main: { ...good, issuer: "http://127.0.0.1" } }, /main\.issuer: must be an https/],
    ["http elsewhere", { main: { ...good, issuer: "http://10.0.0.1", allowHttpLoopback: true } }, /main\.issuer: must be an https/],
    [
      "a host that only begins like this machine",
      { main: { ...good, issuer: "http://127.0.0.1.example.org", allowHttpLoopback: true } },
      /https/,
    ],
    ["a user in an address", { main: { ...good, jwksUri: "https://a:b@id.example.org/keys" } }, /main\.jwksUri: must be an https/],
    ["an issuer with a query", { main: { ...good, issuer: "https://id.example.org?realm=1" } }, /main\.issuer: must have no query/],
    ["an algorithm with a shared secret", { main: { ...good, algorithms: ["HS256"] } }, /main\.algorithms\.0: must be one of RS256/],
    ["no algorithm", { main: { ...good, algorithms: ["none"] } }, /main\.algorithms\.0/],
    ["a clock that may be off by an hour", { main: { ...good, clockSkewSeconds: 3_600 } }, /main\.clockSkewSeconds: must be at most 300/],
    ["a misspelt setting", { main: { ...good, audiences: "keystead" } }, /main: has no field "audiences"/],
    ["no audience", { main: { issuer: good.issuer } }, /main\.audience/],
    ["a name with a colon", { "main:x": good }, /main:x/],
    ["an issuer twice", { main: good, other: good }, /other\.issuer: is there twice/],
    ["a missing secret", { main: { ...good, introspection: { clientId: "k", clientSecretFile: "does/not/exist" } } }, /does not exist/],
    ["missing authorities", { main: { ...good, ca: "does/not/exist" } }, /ca file does\/not\/exist/],
  ])("refuses %s", async (_what, settings, message) => {
    await expect(OidcAuthenticator.open(settings as never, (await startOidc()).clock)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringMatching(message) as unknown,
    });
  });
});
