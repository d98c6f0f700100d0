import { createHmac } from "node:crypto";
import fc from "fast-check";
import { UnsecuredJWT, exportJWK } from "jose";
import { describe, expect, it } from "vitest";
import type { OidcAuthenticator } from "../../../src/access/oidc/oidc-authenticator.ts";
import { openOidc, outcome, startOidc } from "./support/authenticator.ts";
import { type Changes, TestIssuer, newKey } from "./support/test-issuer.ts";

const encode = (value: unknown): string => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const refusal = /^UNAUTHENTICATED: /;

describe("a token is refused", () => {
  it.each<[string, Changes, RegExp]>([
    ["for another audience", { aud: "account" }, /aud does not hold/],
    ["for no audience", { aud: undefined }, /aud does not hold/],
    ["for an audience that only begins alike", { aud: ["keystead2", ["keystead"]] }, /aud does not hold/],
    ["without a subject", { sub: undefined }, /sub does not hold/],
    ["with an empty subject", { sub: "" }, /sub/],
    ["with a list as subject", { sub: ["7f3a"] }, /sub/],
    ["with a subject that would forge a name in the audit", { sub: "a\nb" }, /sub has control characters/],
    ["with a long subject", { sub: "x".repeat(254) }, /sub .* is too long/],
    ["without an expiry", { exp: undefined }, /exp does not hold/],
    ["with a text as expiry", { exp: "never" }, /exp does not hold/],
    ["that is an ID token of Keycloak", { typ: "ID" }, /typ is not Bearer/],
    ["that is a refresh token of Keycloak", { typ: "Refresh" }, /typ is not Bearer/],
    ["that is an ID token by its nonce", { typ: undefined, nonce: "n" }, /an ID token/],
    ["that is an ID token by its hash", { typ: undefined, at_hash: "n" }, /an ID token/],
    ["that is bound to a key", { cnf: { jkt: "x" } }, /bound to a key/],
    ["with too many roles", { realm_access: { roles: Array.from({ length: 501 }, String) } }, /more than 500 values/],
    ["with a role that is no text", { realm_access: { roles: ["a", { b: 1 }] } }, /realm_access\.roles has a value that is no text/],
    ["with a long role", { groups: ["x".repeat(256)] }, /groups has a value/],
    ["with a role that would forge a name in the audit", { groups: "a\u2028b" }, /groups has a value/],
  ])("%s", async (_what, changes, reason) => {
    const { issuer, oidc } = await startOidc();
    const ended = await outcome(oidc, await issuer.token(changes));
    expect(ended).toMatch(refusal);
    expect(ended).toMatch(reason);
  });

  it.each(["logout+jwt", "secevent+jwt", "dpop+jwt", "JOSE"])("of type %s", async (typ) => {
    const { issuer, oidc } = await startOidc();
    expect(await outcome(oidc, await issuer.token({}, { typ }))).toMatch(/another typ/);
  });

  it.each(["JWT", "jwt", "at+jwt", "application/at+jwt"])("but not of type %s", async (typ) => {
    const { issuer, oidc } = await startOidc();
    expect(await outcome(oidc, await issuer.token({}, { typ }))).toMatchObject({ principal: { id: "main:7f3a" } });
  });

  it("without the claims that the settings require", async () => {
    const { issuer, oidc } = await startOidc({ requiredClaims: { azp: ["portal", "kernel"], "realm_access.roles": "users" } });
    expect(await outcome(oidc, await issuer.token())).toMatchObject({ principal: { id: "main:7f3a" } });
    expect(await outcome(oidc, await issuer.token({ azp: "other" }))).toMatch(/azp has none of the required/);
    expect(await outcome(oidc, await issuer.token({ realm_access: {} }))).toMatch(/realm_access\.roles has none/);
  });

  it("when it expired, or does not count yet, by more than the clocks may differ", async () => {
    const { issuer, oidc, clock } = await startOidc({ clockSkewSeconds: 30 });
    const now = Math.floor(clock.now() / 1_000);
    const results = async (claim: string, ...times: readonly number[]): Promise<boolean[]> =>
      Promise.all(times.map(async (time) => typeof (await outcome(oidc, await issuer.token({ [claim]: time }))) === "object"));
    expect(await results("exp", now - 31, now - 30, now - 29, now)).toEqual([false, false, true, true]);
    expect(await results("nbf", now + 31, now + 30, now)).toEqual([false, true, true]);
    expect(await results("iat", now + 31, now + 30, now)).toEqual([false, true, true]);
  });

  it("without a difference of clocks, to the second", async () => {
    const { issuer, oidc, clock } = await startOidc({ clockSkewSeconds: 0 });
    const now = Math.floor(clock.now() / 1_000);
    expect(await outcome(oidc, await issuer.token({ exp: now }))).toMatch(refusal);
    expect(await outcome(oidc, await issuer.token({ exp: now + 1 }))).toMatchObject({ principal: { id: "main:7f3a" } });
  });

  it("when nobody signed it", async () => {
    const { issuer, oidc } = await startOidc();
    const unsigned = new UnsecuredJWT(issuer.payload()).encode();
    expect(await outcome(oidc, unsigned)).toMatch(/algorithm that is not accepted/);
    for (const alg of ["none", "None", "NONE", "nOnE", "", "HS256", "HS512", "RS1", "ES256K", "__proto__"]) {
      const token = `${encode({ alg, kid: issuer.key.kid })}.${encode(issuer.payload())}.`;
      expect(await outcome(oidc, token)).toMatch(/algorithm that is not accepted/);
    }
    expect(issuer.asked).toEqual([]);
  });

  it("when its secret is the public key", async () => {
    const { issuer, oidc } = await startOidc();
    const { publicKey, kid } = issuer.rotate("rsa", "RS256");
    await oidc.authenticate(await issuer.token());
    const secrets = [
      publicKey.export({ type: "spki", format: "pem" }),
      publicKey.export({ type: "spki", format: "der" }),
      JSON.stringify(await exportJWK(publicKey)),
    ];
    for (const secret of secrets) {
      const signed = `${encode({ alg: "HS256", kid, typ: "JWT" })}.${encode(issuer.payload())}`;
      const token = `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
      expect(await outcome(oidc, token)).toMatch(/algorithm that is not accepted/);
    }
  });

  it("when its header names another algorithm than it is signed with", async () => {
    const { issuer, oidc } = await startOidc();
    issuer.rotate("rsa", "RS256");
    const [, payload = "", signature = ""] = (await issuer.token()).split(".");
    for (const alg of ["PS256", "RS512", "ES256", "EdDSA"]) {
      const token = `${encode({ alg, kid: "rsa", typ: "JWT" })}.${payload}.${signature}`;
      expect(await outcome(oidc, token)).toMatch(refusal);
    }
  });

  it("when a key signed it that is only like the issuer's", async () => {
    const { issuer, oidc } = await startOidc();
    const stranger = newKey(issuer.key.kid);
    expect(await outcome(oidc, await issuer.token({}, {}, stranger))).toMatch(/JWS_SIGNATURE_VERIFICATION_FAILED/);
  });

  it("when it brings its own key, and nothing that it names is asked", async () => {
    const { issuer, oidc, clock } = await startOidc();
    const attacker = await TestIssuer.start(clock);
    const jwk = { ...(await exportJWK(attacker.key.publicKey)), kid: attacker.key.kid, alg: attacker.key.alg };
    const addresses = { jku: `${attacker.url}/certs`, x5u: `${attacker.url}/x5u` };
    for (const kid of [attacker.key.kid, "own", undefined]) {
      const token = await issuer.token({}, { ...addresses, jwk, kid }, attacker.key);
      expect(await outcome(oidc, token)).toMatch(refusal);
    }
    expect(attacker.asked).toEqual([]);
    // A rightful token may have them: they decide nothing.
    expect(await outcome(oidc, await issuer.token({}, addresses))).toMatchObject({ principal: { id: "main:7f3a" } });
    expect(attacker.asked).toEqual([]);
  });

  it("when another known issuer signed it, whatever its key is called", async () => {
    const { issuer, clock } = await startOidc();
    const other = await TestIssuer.start(clock);
    const common = { audience: "keystead", allowHttpLoopback: true };
    const oidc = await openOidc({ main: { issuer: issuer.url, ...common }, other: { issuer: other.url, ...common } }, clock);
    await oidc.authenticate(await other.token());
    expect(other.key.kid).toBe(issuer.key.kid);
    expect(await outcome(oidc, await issuer.token({}, {}, other.key))).toMatch(/JWS_SIGNATURE_VERIFICATION_FAILED/);
    expect(await outcome(oidc, await issuer.token({ iss: other.url }))).toMatch(/JWS_SIGNATURE_VERIFICATION_FAILED/);
  });

  it.each(["/", "x", "?a", "/../test"])("when its issuer is a known one followed by %j", async (end) => {
    const { issuer, oidc } = await startOidc();
    expect(await outcome(oidc, await issuer.token({ iss: `${issuer.url}${end}` }))).toMatch(/none of the configured/);
    expect(issuer.asked).toEqual([]);
  });

  it("when it asks for an extension that nobody knows", async () => {
    const { issuer, oidc } = await startOidc();
    const signed = `${encode({ alg: "ES256", kid: "first", crit: ["exp2"], exp2: 1 })}.${encode(issuer.payload())}`;
    expect(await outcome(oidc, `${signed}.${"A".repeat(86)}`)).toMatch(/^UNAUTHENTICATED: .*ERR_JOSE_NOT_SUPPORTED/);
    const unencoded = `${encode({ alg: "ES256", kid: "first", crit: ["b64"], b64: false })}.${encode(issuer.payload())}`;
    expect(await outcome(oidc, `${unencoded}.${"A".repeat(86)}`)).toMatch(refusal);
  });

  it("when it is huge, without a look at it", async () => {
    const { issuer, oidc } = await startOidc();
    expect(await outcome(oidc, await issuer.token({ padding: "x".repeat(16_384) }))).toMatch(/longer than 16384/);
    expect(await outcome(oidc, await issuer.token({ padding: "x".repeat(11_000) }))).toMatchObject({ principal: { id: "main:7f3a" } });
    expect(await outcome(oidc, `${"A".repeat(50_000_000)}.`)).toMatch(/longer than 16384/);
  });

  it("when its header is deep, without harm", async () => {
    const { oidc } = await startOidc();
    const deep = `{"alg":"ES256","kid":${"[".repeat(5_000)}${"]".repeat(5_000)}}`;
    expect(await outcome(oidc, `${encode(deep)}.${encode({ iss: "x" })}.AAAA`)).toBeUndefined();
  });
});

describe("settings of claims", () => {
  it("say what policies see, also where names have dots", async () => {
    const claims = ["groups", ["https://example.org/roles"], ["resource_access", "my.app", "roles"], "email_verified", "level", "missing"];
    const { issuer, oidc } = await startOidc({ claims, nameClaim: "email" });
    const token = await issuer.token({
      groups: ["/a/b", ""],
      "https://example.org/roles": "one",
      resource_access: { "my.app": { roles: ["two"] } },
      email_verified: true,
      level: 3,
      email: "a@b\u0000",
    });
    expect(await oidc.authenticate(token)).toEqual({
      principal: { source: "oidc", id: "main:7f3a" },
      claims: {
        groups: ["/a/b"],
        "https://example.org/roles": ["one"],
        "resource_access.my.app.roles": ["two"],
        email_verified: ["true"],
        level: ["3"],
      },
    });
  });

  it("reach nothing that a token does not have itself", async () => {
    const { issuer, oidc } = await startOidc({ claims: ["constructor.name", "__proto__", "groups.length", "azp.length"] });
    expect(await oidc.authenticate(await issuer.token({ groups: ["a"] }))).toMatchObject({ claims: {} });
  });
});

describe("malformed tokens", () => {
  const isRefused = async (oidc: OidcAuthenticator, token: string): Promise<boolean> => {
    const ended = await outcome(oidc, token);
    return ended === undefined || (typeof ended === "string" && ended.startsWith("UNAUTHENTICATED: "));
  };

  it("are refused, or no tokens, whatever was done to a good one", async () => {
    const { issuer, oidc } = await startOidc();
    const good = await issuer.token();
    await oidc.authenticate(good);
    const change = fc.record({
      at: fc.nat({ max: good.length - 1 }),
      remove: fc.nat({ max: 20 }),
      insert: fc.string({ unit: "binary", maxLength: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const token = changes.reduce((text, { at, remove, insert }) => text.slice(0, at) + insert + text.slice(at + remove), good);
        // The last character of a signature has bits that mean nothing.
        fc.pre(token.slice(0, -1) !== good.slice(0, -1));
        expect(await isRefused(oidc, token)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it("are refused, or no tokens, whatever their parts say", async () => {
    const { issuer, oidc } = await startOidc();
    const header = fc.oneof(
      fc.json(),
      fc.record(
        {
          alg: fc.oneof(fc.constantFrom("ES256", "RS256", "none", "HS256"), fc.jsonValue()),
          kid: fc.constantFrom("first", "x", 7),
          typ: fc.jsonValue(),
        },
        { requiredKeys: [] },
      ),
    );
    const payload = fc.oneof(fc.json(), fc.record({ iss: fc.constantFrom(issuer.url, 1, ""), sub: fc.jsonValue(), exp: fc.jsonValue() }));
    await fc.assert(
      fc.asyncProperty(header, payload, fc.base64String(), async (first, second, third) => {
        expect(await isRefused(oidc, `${encode(first)}.${encode(second)}.${third.replace(/=+$/, "")}`)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
    // Only keys that it doesn't know made it ask, once.
    expect(issuer.count("jwks")).toBeLessThanOrEqual(2);
  });

  it("are refused, or no tokens, when they are rightly signed but say anything", async () => {
    const { issuer, oidc } = await startOidc();
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom("sub", "exp", "nbf", "iat", "aud", "typ", "cnf", "groups", "realm_access"), fc.jsonValue()),
        async (claims) => {
          const ended = await outcome(oidc, await issuer.token(claims));
          if (typeof ended === "object") expect(ended.principal.id.slice("main:".length)).toBe(claims["sub"] ?? "7f3a");
          else expect(ended).toMatch(refusal);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
