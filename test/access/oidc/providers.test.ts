import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK } from "jose";
import { describe, expect, it } from "vitest";
import { TestAuthority } from "../../support/certificates.ts";
import { TestClock } from "../../support/test-clock.ts";
import { temporaryFolder } from "../../support/test-keystead.ts";
import { openOidc, outcome, startOidc } from "./support/authenticator.ts";
import { TestIssuer, json, newKey, paths } from "./support/test-issuer.ts";

const anna = { principal: { id: "main:7f3a" } };
const refusal = /^UNAUTHENTICATED: /;
const overload = /^OVERLOADED: /;

describe("keys of an issuer", () => {
  it("are asked for when the first token comes, once for all that wait", async () => {
    const { issuer, oidc } = await startOidc();
    expect(issuer.asked).toEqual([]);
    const tokens = await Promise.all(Array.from({ length: 50 }, (_, jti) => issuer.token({ jti: String(jti) })));
    for (const ended of await Promise.all(tokens.map((token) => outcome(oidc, token)))) expect(ended).toMatchObject(anna);
    expect(issuer.asked).toEqual([paths.discovery, paths.jwks]);
  });

  it("are asked for again when a token names an unknown one; tokens of the old one stay good", async () => {
    const { issuer, oidc, clock } = await startOidc();
    const old = await issuer.token();
    await oidc.authenticate(old);
    issuer.rotate("second");
    clock.advance(5_000);
    expect(await outcome(oidc, await issuer.token())).toMatchObject(anna);
    clock.advance(60_000);
    expect(await outcome(oidc, old)).toMatchObject(anna);
    expect(issuer.count("jwks")).toBe(2);
  });

  it("that were withdrawn count for ten minutes at most", async () => {
    const { issuer, oidc, clock } = await startOidc();
    const token = await issuer.token({ exp: Math.floor(clock.now() / 1_000) + 3_600 });
    await oidc.authenticate(token);
    issuer.published = [newKey("second")];
    clock.advance(600_000);
    expect(await outcome(oidc, token)).toMatchObject(anna);
    clock.advance(60_001);
    expect(await outcome(oidc, token)).toMatch(/key that the issuer does not have/);
  });

  it("are not asked for more often by 10,000 tokens that name 10,000 unknown ones", async () => {
    const { issuer, oidc, clock } = await startOidc();
    await oidc.authenticate(await issuer.token());
    clock.advance(5_000);
    const [, payload = "", signature = ""] = (await issuer.token()).split(".");
    const unknown = Array.from({ length: 10_000 }, (_, kid) => {
      const header = Buffer.from(JSON.stringify({ alg: "ES256", kid: `unknown-${String(kid)}` })).toString("base64url");
      return `${header}.${payload}.${signature}`;
    });
    for (const ended of await Promise.all(unknown.map((token) => outcome(oidc, token)))) expect(ended).toMatch(refusal);
    expect(issuer.count("jwks")).toBe(2);
    // One that was made meanwhile is found as soon as it may be looked for.
    issuer.rotate("second");
    const token = await issuer.token();
    expect(await outcome(oidc, token)).toMatch(refusal);
    clock.advance(5_000);
    expect(await outcome(oidc, token)).toMatchObject(anna);
  });

  it("may be among others that are not for signatures, and a set of too many is not taken", async () => {
    const { issuer, oidc } = await startOidc();
    const jwk = { ...(await exportJWK(issuer.key.publicKey)), kid: "first", alg: "ES256" };
    const others = [
      { kty: "oct", kid: "first", k: "AAAA" },
      { ...jwk, use: "enc" },
      { kty: "RSA", kid: "first", n: "AQAB", e: "AQAB" },
      { kty: "new", kid: "first" },
      "text",
      null,
    ];
    issuer.answers.set(paths.jwks, json({ keys: [...others, { ...jwk, use: "sig" }] }));
    expect(await outcome(oidc, await issuer.token())).toMatchObject(anna);
    issuer.answers.set(paths.jwks, json({ keys: Array.from({ length: 201 }, () => jwk) }));
    issuer.clock.advance(5_000);
    expect(await outcome(oidc, await issuer.token({}, { kid: "second" }))).toMatch(/^OVERLOADED: .* at most 200 keys/);
  });

  it("may be published with their private part, which is not taken", async () => {
    const { issuer, oidc } = await startOidc();
    issuer.answers.set(paths.jwks, json({ keys: [{ ...(await exportJWK(issuer.key.privateKey)), kid: "first" }] }));
    expect(await outcome(oidc, await issuer.token())).toMatchObject(anna);
  });

  it("that are too short are none", async () => {
    const { issuer, oidc } = await startOidc();
    const weak = { kty: "RSA", kid: "first", alg: "RS256", n: Buffer.alloc(128, 0xff).toString("base64url"), e: "AQAB" };
    issuer.answers.set(paths.jwks, json({ keys: [weak] }));
    issuer.rotate("first", "RS256");
    expect(await outcome(oidc, await issuer.token())).toMatch(/key that the issuer does not have/);
  });
});

describe("an issuer that does not answer", () => {
  it("has its known keys count for an hour, and nothing said of others", async () => {
    const { issuer, oidc, clock } = await startOidc();
    const now = Math.floor(clock.now() / 1_000);
    const token = await issuer.token({ exp: now + 10_000 });
    const other = await issuer.token({ exp: now + 10_000 }, { kid: "second" });
    await oidc.authenticate(token);
    await issuer.stop();
    for (const step of [600_001, 10_000, 2_900_000]) {
      clock.advance(step);
      expect(await outcome(oidc, token)).toMatchObject(anna);
      expect(await outcome(oidc, other)).toMatch(overload);
    }
    clock.advance(100_000);
    expect(await outcome(oidc, token)).toMatch(overload);
  });

  it("from the start has its tokens neither accepted nor refused, until it answers", async () => {
    const { issuer, oidc, clock } = await startOidc();
    issuer.answers.set(paths.discovery, json({}, 503));
    const token = await issuer.token();
    for (let count = 0; count < 10; count += 1) expect(await outcome(oidc, token)).toMatch(/^OVERLOADED: .* answers with status 503/);
    expect(issuer.asked).toEqual([paths.discovery]);
    expect(await oidc.examine()).toMatchObject([{ issuer: "main" }]);
    issuer.answers.clear();
    clock.advance(5_000);
    expect(await outcome(oidc, token)).toMatchObject(anna);
    expect(await oidc.examine()).toEqual([]);
  });

  it.each<[string, Parameters<TestIssuer["answers"]["set"]>[1]]>([
    ["never", () => undefined],
    ["without an end", (_request, response) => void response.writeHead(200).write('{"keys":[')],
    [
      "more than anybody needs",
      (_request, response) => void response.writeHead(200).end(`{"keys":[],"padding":"${"x".repeat(1_000_000)}"}`),
    ],
    ["no JSON", (_request, response) => void response.writeHead(200).end("<html>")],
    ["something else", json({ answer: 42 })],
    ["a hang-up", (_request, response) => void response.destroy()],
    ["a redirect", json({}, 302, { location: "https://keys.example.org" })],
    ["an error", json({ keys: [] }, 500)],
  ])("rightly with its keys (%s) has its tokens neither accepted nor refused", async (_what, answer) => {
    const { issuer, oidc } = await startOidc({ timeoutSeconds: 0.2 });
    issuer.answers.set(paths.jwks, answer);
    expect(await outcome(oidc, await issuer.token())).toMatch(overload);
  });

  it("does not make callers wait whose keys are known", async () => {
    const { issuer, oidc, clock } = await startOidc({ timeoutSeconds: 0.2 });
    const token = await issuer.token({ exp: Math.floor(clock.now() / 1_000) + 10_000 });
    await oidc.authenticate(token);
    issuer.answers.set(paths.jwks, json({}, 500));
    clock.advance(600_001);
    expect(await outcome(oidc, token)).toMatchObject(anna);
    // Now it is known not to answer, and a question that hangs holds nobody up.
    issuer.answers.set(paths.jwks, () => undefined);
    clock.advance(60_000);
    const asked = issuer.count("jwks");
    const begun = performance.now();
    expect(await outcome(oidc, token)).toMatchObject(anna);
    expect(performance.now() - begun).toBeLessThan(150);
    await expect.poll(() => issuer.count("jwks")).toBe(asked + 1);
  });
});

describe("discovery", () => {
  it("must be of the very issuer", async () => {
    const { issuer, oidc } = await startOidc();
    issuer.answers.set(paths.discovery, json({ issuer: `${issuer.url}/`, jwks_uri: issuer.addressOf(paths.jwks) }));
    expect(await outcome(oidc, await issuer.token())).toMatch(/^OVERLOADED: .*discovery of another issuer/);
    expect(issuer.count("jwks")).toBe(0);
  });

  it("is not followed to another address", async () => {
    const { issuer, oidc, clock } = await startOidc();
    const other = await TestIssuer.start(clock);
    issuer.answers.set(paths.discovery, json({}, 307, { location: other.addressOf(paths.discovery) }));
    expect(await outcome(oidc, await issuer.token())).toMatch(/answers with a redirect, which is not followed/);
    expect(other.asked).toEqual([]);
  });

  it.each(["http://keys.example.org/certs", "file:///etc/passwd", "https://a:b@id.example.org/certs", "certs", ""])(
    "may not name %j as the address of the keys",
    async (address) => {
      const { issuer, oidc } = await startOidc();
      issuer.answers.set(paths.discovery, json({ issuer: issuer.url, jwks_uri: address }));
      expect(await outcome(oidc, await issuer.token())).toMatch(/names no https address of its keys/);
    },
  );

  it("is not needed where the address of the keys is configured", async () => {
    const { issuer, clock } = await startOidc();
    const jwksUri = issuer.addressOf(paths.jwks);
    const oidc = await openOidc({ main: { issuer: issuer.url, audience: "keystead", allowHttpLoopback: true, jwksUri } }, clock);
    expect(await outcome(oidc, await issuer.token())).toMatchObject(anna);
    expect(issuer.asked).toEqual([paths.jwks]);
  });
});

describe("TLS", () => {
  it("takes only the authorities that are configured", async () => {
    const folder = temporaryFolder();
    const [authority, stranger] = [new TestAuthority(folder), new TestAuthority(folder)];
    const clock = new TestClock();
    const issuer = await TestIssuer.start(clock, authority.issue({ name: "localhost", names: ["DNS:localhost"] }));
    const settings = { issuer: issuer.url, audience: "keystead" };
    const token = await issuer.token();
    expect(await outcome(await openOidc({ main: { ...settings, ca: authority.file } }, clock), token)).toMatchObject(anna);
    const asked = issuer.asked.length;
    expect(await outcome(await openOidc({ main: { ...settings, ca: stranger.file } }, clock), token)).toMatch(overload);
    expect(await outcome(await openOidc({ main: settings }, clock), token)).toMatch(overload);
    expect(issuer.asked).toHaveLength(asked);
  });

  it("refuses a file of authorities that has none", async () => {
    const file = join(temporaryFolder(), "ca.pem");
    writeFileSync(file, "nothing");
    const settings = { issuer: "https://id.example.org", audience: "keystead", ca: file };
    await expect(openOidc({ main: settings }, new TestClock())).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});
