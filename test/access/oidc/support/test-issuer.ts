import { type KeyObject, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type JWTPayload, SignJWT, exportJWK } from "jose";
import { onTestFinished } from "vitest";
import type { TestClock } from "../../../support/test-clock.ts";
import type { Certificate } from "../../../support/certificates.ts";

/** A signing key of a test's issuer. */
export interface IssuerKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** Claims or header parameters that differ from the usual ones; undefined leaves one out. */
export type Changes = Readonly<Record<string, unknown>>;

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

const pairs: Readonly<Record<string, () => { readonly privateKey: KeyObject; readonly publicKey: KeyObject }>> = {
  RS: () => generateKeyPairSync("rsa", { modulusLength: 2_048 }),
  PS: () => generateKeyPairSync("rsa", { modulusLength: 2_048 }),
  ES: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  Ed: () => generateKeyPairSync("ed25519"),
};

/** Makes a signing key. */
export function newKey(kid: string, alg = "ES256"): IssuerKey {
  const pair = pairs[alg.slice(0, 2)]?.();
  if (pair === undefined) throw new Error(`there is no key for ${alg}`);
  return { kid, alg, ...pair };
}

/** A small identity provider on this machine: real HTTP, and what it answers can be changed by a test. */
export class TestIssuer {
  readonly url: string;
  readonly clock: TestClock;
  /** What it signs with. */
  key = newKey("first");
  /** What it publishes. */
  published: IssuerKey[] = [this.key];
  /** Paths that were asked, in order. */
  readonly asked: string[] = [];
  /** Answers that differ from the usual ones, by path. */
  readonly answers = new Map<string, Answer>();
  /** Tokens that introspection calls active. */
  readonly active = new Set<string>();
  /** What was sent to introspection. */
  readonly introspected: { readonly authorization: string | undefined; readonly body: string }[] = [];
  readonly #server: Server;

  private constructor(server: Server, scheme: string, clock: TestClock) {
    this.#server = server;
    this.clock = clock;
    this.url = `${scheme}://localhost:${String((server.address() as AddressInfo).port)}/realms/test`;
    server.on("request", (request: IncomingMessage, response: ServerResponse) => void this.#answer(request, response));
  }

  /** Starts one, which ends with the test. */
  static async start(clock: TestClock, certificate?: Certificate): Promise<TestIssuer> {
    const server = certificate === undefined ? createServer() : createTlsServer({ key: certificate.key, cert: certificate.certificate });
    server.listen(0, "localhost");
    await once(server, "listening");
    const issuer = new TestIssuer(server, certificate === undefined ? "http" : "https", clock);
    onTestFinished(() => issuer.stop());
    return issuer;
  }

  /** Ends it: connections to it are refused then. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  /** Signs with another key, and publishes it beside the others. */
  rotate(kid: string, alg?: string): IssuerKey {
    this.key = newKey(kid, alg);
    this.published.push(this.key);
    return this.key;
  }

  /** How often a path was asked. */
  count(path: "discovery" | "jwks" | "introspect"): number {
    return this.asked.filter((asked) => asked === paths[path]).length;
  }

  /** What a token says, unless a test says otherwise. */
  payload(changes: Changes = {}): JWTPayload {
    const now = Math.floor(this.clock.now() / 1_000);
    return {
      iss: this.url,
      sub: "7f3a",
      aud: "keystead",
      iat: now,
      exp: now + 300,
      typ: "Bearer",
      azp: "kernel",
      preferred_username: "anna",
      scope: "openid email",
      realm_access: { roles: ["keystead-admins", "users"] },
      resource_access: { keystead: { roles: ["operator"] }, other: { roles: ["root"] } },
      ...changes,
    };
  }

  /** A good token, or one with changes. A claim that is undefined is left out. */
  async token(changes: Changes = {}, header: Changes = {}, key = this.key): Promise<string> {
    const whole = { alg: key.alg, kid: key.kid, typ: "JWT", ...header };
    return new SignJWT(this.payload(changes)).setProtectedHeader(whole).sign(key.privateKey);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    this.asked.push(path);
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += String(chunk);
    const usual: Readonly<Record<string, () => Promise<unknown>>> = {
      [paths.discovery]: async () => ({
        issuer: this.url,
        jwks_uri: this.addressOf(paths.jwks),
        introspection_endpoint: this.addressOf(paths.introspect),
      }),
      [paths.jwks]: async () => ({ keys: await Promise.all(this.published.map(jwkOf)) }),
      [paths.introspect]: async () => {
        this.introspected.push({ authorization: request.headers.authorization, body });
        return { active: this.active.has(new URLSearchParams(body).get("token") ?? "") };
      },
    };
    const answer = this.answers.get(path);
    if (answer !== undefined) return answer(request, response, body);
    const text = await usual[path]?.();
    response.writeHead(text === undefined ? 404 : 200, { "content-type": "application/json" }).end(JSON.stringify(text ?? {}));
  }

  /** The address of a path of it. */
  addressOf(path: string): string {
    return new URL(path, this.url).href;
  }
}

/** Where it answers. */
export const paths = {
  discovery: "/realms/test/.well-known/openid-configuration",
  jwks: "/realms/test/certs",
  introspect: "/realms/test/introspect",
} as const;

async function jwkOf({ kid, alg, publicKey }: IssuerKey): Promise<object> {
  return { ...(await exportJWK(publicKey)), kid, alg, use: "sig" };
}

/** Answers with JSON. */
export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return (_request, response) =>
    void response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
}
