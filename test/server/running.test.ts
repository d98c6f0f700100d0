import { copyFileSync, chmodSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { type RequestOptions, request as httpsRequest } from "node:https";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { allowAll } from "../../src/access/access-control.ts";
import type { Route } from "../../src/api/route.ts";
import { routes } from "../../src/api/routes.ts";
import { usual } from "../../src/api/route-row.ts";
import type { Keystead } from "../../src/keystead.ts";
import { type RunningServer, startServer, type StartServerOptions } from "../../src/server/start-server.ts";
import { serverSettingsSchema } from "../../src/server/settings.ts";
import { recordOutput } from "../setup/canary.ts";
import { type Certificate, TestAuthority } from "../support/certificates.ts";
import { createTestKeystead, temporaryFolder } from "../support/test-keystead.ts";
import { RawConnection, requestText } from "./support/test-server.ts";

type Settings = z.input<typeof serverSettingsSchema>;

interface Running extends RunningServer {
  readonly keystead: Keystead;
  readonly port: number;
  readonly logged: string[];
}

async function start(settings: Settings = {}, options: Partial<StartServerOptions> = {}): Promise<Running> {
  const { keystead } = await createTestKeystead({ access: allowAll });
  const logged: string[] = [];
  const running = await startServer({
    keystead,
    routes: [],
    authenticators: [{ authenticate: () => ({ principal: { source: "token", id: "anna" } }) }],
    settings: serverSettingsSchema.parse({ port: 0, ...settings }),
    folder: temporaryFolder(),
    version: "0.0.0",
    log: {
      write: (line) => {
        logged.push(line);
        recordOutput(line);
      },
    },
    ...options,
  });
  onTestFinished(() => running.close());
  return { ...running, keystead, port: Number(new URL(running.url).port), logged };
}

interface Got {
  readonly status: number | undefined;
  readonly body: string;
  readonly subject: unknown;
}

function get(url: string, options: RequestOptions = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith("https:") ? httpsRequest : httpRequest;
    const request = send(url, { agent: false, ...options }, (answer) => {
      let body = "";
      const { socket } = answer;
      const subject = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined;
      answer.setEncoding("utf8").on("data", (text: string) => (body += text));
      answer.on("end", () => resolve({ status: answer.statusCode, body, subject })).on("error", reject);
    });
    request.on("error", reject).end();
  });
}

describe("a server with TLS", () => {
  function certificates(): {
    readonly folder: string;
    readonly authority: TestAuthority;
    readonly put: (certificate: Certificate) => void;
  } {
    const folder = temporaryFolder();
    const authority = new TestAuthority(folder);
    const put = ({ files }: Certificate): void => {
      copyFileSync(files.certificate, join(folder, "server.crt"));
      copyFileSync(files.key, join(folder, "server.key"));
      chmodSync(join(folder, "server.key"), 0o600);
    };
    put(authority.issue({ name: "first", names: ["IP:127.0.0.1"] }));
    return { folder, authority, put };
  }
  const tls = { certFile: "server.crt", keyFile: "server.key" };

  it("answers, with a word for browsers that it always will", async () => {
    const { folder, authority } = certificates();
    const { url, logged } = await start({ tls }, { folder });
    expect(url).toMatch(/^https:/);
    expect(logged.join("")).toContain(`listening at ${url}`);
    expect(await get(`${url}/livez`, { ca: authority.certificate })).toMatchObject({ status: 200, subject: { subject: { CN: "first" } } });
    await expect(get(url.replace("https", "http"))).rejects.toThrow();
  });

  it("takes new files, and keeps the old ones when they are not good", async () => {
    const { folder, authority, put } = certificates();
    const server = await start({ tls }, { folder });
    const name = async (): Promise<Got> => get(`${server.url}/readyz`, { ca: authority.certificate });
    put(authority.issue({ name: "second", names: ["IP:127.0.0.1"] }));
    await server.reload();
    expect(await name()).toMatchObject({ status: 200, subject: { subject: { CN: "second" } } });
    writeFileSync(join(folder, "server.crt"), "nothing");
    await server.reload();
    expect(server.logged.join("")).toContain("tls.certFile");
    await expect.poll(name, { timeout: 5_000 }).toMatchObject({ status: 503, subject: { subject: { CN: "second" } } });
    expect((await name()).body).toContain("TLS: tls.certFile");
    put(authority.issue({ name: "third", names: ["IP:127.0.0.1"] }));
    await server.reload();
    await expect.poll(name, { timeout: 5_000 }).toMatchObject({ status: 200, subject: { subject: { CN: "third" } } });
  });

  it("asks for the client's certificate where it has to have one", async () => {
    const { folder, authority } = certificates();
    const clients = new TestAuthority(folder, "Clients");
    copyFileSync(clients.file, join(folder, "clients.crt"));
    const { url } = await start({ tls: { ...tls, clientCaFile: "clients.crt", requireClientCertificate: true } }, { folder });
    const anna = clients.issue({ name: "anna" });
    const stranger = authority.issue({ name: "anna" });
    const with_ = ({ certificate, key }: Certificate): RequestOptions => ({ ca: authority.certificate, cert: certificate, key });
    expect(await get(`${url}/livez`, with_(anna))).toMatchObject({ status: 200 });
    await expect(get(`${url}/livez`, with_(stranger))).rejects.toThrow();
    await expect(get(`${url}/livez`, { ca: authority.certificate })).rejects.toThrow();
  });

  it("trusts the authorities that stand in their file now", async () => {
    const { folder, authority } = certificates();
    const [before, after] = [new TestAuthority(folder, "Before"), new TestAuthority(folder, "After")];
    const trust = ({ file }: TestAuthority): void => copyFileSync(file, join(folder, "clients.crt"));
    trust(before);
    const server = await start({ tls: { ...tls, clientCaFile: "clients.crt", requireClientCertificate: true } }, { folder });
    const statusOf = ({ certificate, key }: Certificate): Promise<number | undefined> =>
      get(`${server.url}/livez`, { ca: authority.certificate, cert: certificate, key, agent: false }).then(({ status }) => status);
    const [anna, bert] = [before.issue({ name: "anna" }), after.issue({ name: "bert" })];
    expect(await statusOf(anna)).toBe(200);
    await expect(statusOf(bert)).rejects.toThrow();
    trust(after);
    await server.reload();
    expect(await statusOf(bert)).toBe(200);
    await expect(statusOf(anna)).rejects.toThrow();
  });

  it("speaks no older version than it should", async () => {
    const { folder, authority } = certificates();
    const { url } = await start({ tls: { ...tls, minVersion: "TLSv1.3" } }, { folder });
    await expect(get(`${url}/livez`, { ca: authority.certificate, maxVersion: "TLSv1.2" })).rejects.toThrow();
  });

  it("does not start with files that are not good", async () => {
    const { folder, authority } = certificates();
    copyFileSync(authority.issue({ name: "other" }).files.key, join(folder, "server.key"));
    await expect(start({ tls }, { folder })).rejects.toThrow("tls.keyFile");
  });
});

describe("settings", () => {
  it.each([
    [{ host: "0.0.0.0" }, "host: is not loopback"],
    [{ tls: { certFile: "a", keyFile: "b", requireClientCertificate: true } }, "clientCaFile"],
    [{ trustProxy: "all" }, "trustProxy"],
    [{ port: 70_000 }, "port"],
    [{ prot: 1 }, "prot"],
  ])("are refused that are not safe or not known: %j", (settings, word) => {
    const { error } = serverSettingsSchema.safeParse(settings);
    const [issue] = error?.issues ?? [];
    expect(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`).toContain(word);
  });

  it("may have a proxy do TLS", () => {
    expect(serverSettingsSchema.safeParse({ host: "0.0.0.0", behindProxy: true }).success).toBe(true);
  });
});

describe("behind a proxy", () => {
  const failing = { ...usual, method: "GET", path: "/v1/x", summary: "x", tag: "x", action: "x.y", answer: z.unknown() } as const;
  const route: Route = { ...failing, handle: async () => ({}) };

  it.each([
    ["none", "9.9.9.9", "127.0.0.1"],
    ["loopback", "9.9.9.9", "9.9.9.9"],
    ["loopback", "8.8.8.8, 9.9.9.9", "9.9.9.9"],
    ["loopback", "nonsense", "127.0.0.1"],
  ] as const)("the client's address is what a trusted one says: %s, %s", async (trustProxy, forwarded, address) => {
    const server = await start({ trustProxy }, { routes: [route] });
    await get(`${server.url}/v1/x?y=1`, { headers: { authorization: "Bearer x", "x-forwarded-for": forwarded } });
    const [record] = await server.keystead.audit.show({ action: "x.y" });
    expect(record).toMatchObject({ request: { address } });
  });
});

describe("a server that ends", () => {
  it("answers what is under way, takes nothing new, and says so", async () => {
    const entered = Promise.withResolvers<undefined>();
    const released = Promise.withResolvers<undefined>();
    const row = { ...usual, method: "POST", path: "/v1/slow", summary: "Slow.", tag: "x", action: "x.slow", answer: z.unknown() } as const;
    const slow: Route = {
      ...row,
      handle: async () => {
        entered.resolve(undefined);
        await released.promise;
        return { done: true };
      },
    };
    const server = await start({}, { routes: [slow] });
    const idle = new RawConnection(server.port).send(requestText("GET", "/livez"));
    await idle.answer();
    const busy = new RawConnection(server.port).send(requestText("POST", "/v1/slow"));
    await entered.promise;
    const closed = server.close();
    busy.send(requestText("GET", "/readyz"));
    await idle.all();
    await expect(get(`${server.url}/livez`)).rejects.toThrow();
    released.resolve(undefined);
    expect(await busy.answer()).toMatchObject({ status: 200, body: '{"done":true}', headers: { connection: "close" } });
    await busy.all();
    await closed;
  });

  it("does not wait for connections that send no request, and cuts nothing off", async () => {
    const server = await start();
    const connections = ["", "GET /livez HT", requestText("GET", "/livez") + "GET /rea"].map((text) =>
      new RawConnection(server.port).send(text),
    );
    // Who is answered has been seen, and so were those that came before.
    await connections[2]?.answer();
    await server.close();
    expect(await Promise.all(connections.map((connection) => connection.all()))).toEqual(["", "", ""]);
    expect(server.logged.join("")).not.toMatch(/still/);
  });

  it("does not wait for a TLS connection whose handshake does not come", async () => {
    const folder = temporaryFolder();
    const authority = new TestAuthority(folder);
    const { files } = authority.issue({ name: "first", names: ["IP:127.0.0.1"] });
    copyFileSync(files.certificate, join(folder, "server.crt"));
    copyFileSync(files.key, join(folder, "server.key"));
    chmodSync(join(folder, "server.key"), 0o600);
    const server = await start({ tls: { certFile: "server.crt", keyFile: "server.key" } }, { folder });
    const silent = new RawConnection(server.port);
    expect(await get(`${server.url}/livez`, { ca: authority.certificate })).toMatchObject({ status: 200 });
    await server.close();
    expect(await silent.all()).toBe("");
  });

  it("does not wait for more on a connection whose stream ended while it did", async () => {
    const server = await start({}, { routes });
    const connection = new RawConnection(server.port).send(requestText("GET", "/v1/audit/export", { Authorization: "Bearer t" }));
    await connection.until('{"type":"export"');
    const closed = server.close();
    expect(await connection.all()).toMatch(/0\r\n\r\n$/);
    await closed;
    expect(server.logged.join("")).not.toMatch(/still/);
  });

  it("waits for no request longer than it should", async () => {
    const entered = Promise.withResolvers<undefined>();
    const row = {
      ...usual,
      method: "POST",
      path: "/v1/stuck",
      summary: "Stuck.",
      tag: "x",
      action: "x.stuck",
      answer: z.unknown(),
    } as const;
    const aborted = Promise.withResolvers<undefined>();
    const stuck: Route = {
      ...row,
      handle: (_keystead, _input, { signal }) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => {
            aborted.resolve(undefined);
            resolve({});
          });
          entered.resolve(undefined);
        }),
    };
    const server = await start({ shutdownSeconds: 0 }, { routes: [stuck] });
    const busy = new RawConnection(server.port).send(requestText("POST", "/v1/stuck"));
    await entered.promise;
    await server.close();
    await aborted.promise;
    expect(await busy.all()).toBe("");
    expect(server.logged.join("")).toMatch(/"requests":1,.*requests were still under way/);
  });

  it("says where it can't listen", async () => {
    const { port } = await start();
    await expect(start({ port })).rejects.toThrow("something listens there already");
  });
});
