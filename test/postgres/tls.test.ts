import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { KeysteadError } from "../../src/errors.ts";
import { clientConfigs } from "../../src/postgres/client-config.ts";
import { parsePostgresUrl } from "../../src/postgres/postgres-url.ts";
import { openPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import { layoutOf, openSource } from "../datasets/postgres/database.ts";
import { type Certificate, TestAuthority } from "../support/certificates.ts";
import { PostgresServer } from "../support/postgres-server.ts";

const folder = mkdtempSync(join(tmpdir(), "keystead-tls-"));
/** Vouches for the server. */
const authority = new TestAuthority(folder);
/** Vouches for clients. */
const clients = new TestAuthority(folder, "Clients");
/** Has the same name as the server's, and another key. */
const impostor = new TestAuthority(folder);
const servers = {
  localhost: authority.issue({ name: "database", names: ["DNS:localhost"] }),
  address: authority.issue({ name: "database", names: ["IP:127.0.0.1"] }),
  expired: authority.issue({ name: "database", names: ["DNS:localhost"], expired: true }),
} as const;
const anna = clients.issue({ name: "anna" });
const berta = clients.issue({ name: "berta" });
const stranger = impostor.issue({ name: "anna" });
const late = clients.issue({ name: "anna", expired: true });

let server: PostgresServer;
let plain: PostgresServer;

beforeAll(async () => {
  const certificates: Record<string, string> = {};
  for (const [name, { certificate, key }] of Object.entries(servers))
    Object.assign(certificates, { [`${name}.crt`]: certificate, [`${name}.key`]: key });
  server = await PostgresServer.start({
    settings: { ssl: "on", ssl_ca_file: "clients.crt" },
    files: {
      ...certificates,
      // The command line would stand above what a test changes later.
      "postgresql.auto.conf": "ssl_cert_file = 'localhost.crt'\nssl_key_file = 'localhost.key'\n",
      "clients.crt": clients.certificate,
      "pg_hba.conf": `
hostssl all anna all cert
hostssl all encrypted all trust
host all postgres all trust
`,
    },
  });
  const roles = "create role anna login; create role encrypted login";
  await server.run("postgres", `${roles}; create table person (id int primary key, name text); grant all on person to public`);
  plain = await PostgresServer.start();
});
afterAll(async () => {
  await plain.stop();
  await server.stop();
  rmSync(folder, { recursive: true });
});

async function failureOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return "no error";
  } catch (error) {
    if (!(error instanceof KeysteadError)) throw error;
    expect(JSON.stringify([error.message, String(error.cause)])).not.toMatch(/PRIVATE KEY/);
    return `${error.code}: ${error.message}`;
  }
}

/** What connects by URLs, and how it ends. */
const connections = {
  store: async (url) => {
    const store = await openPostgresStore(url, { clock: systemClock });
    try {
      return await store.exists();
    } finally {
      await store.close();
    }
  },
  dataset: async (url) => {
    const source = await openSource(url, layoutOf("person", { valueColumns: ["name"] }));
    try {
      return await source.describe();
    } finally {
      await source.close();
    }
  },
} satisfies Record<string, (url: string) => Promise<unknown>>;

interface Place {
  readonly host?: string;
  readonly user?: string;
  /** On the server that has no TLS. */
  readonly unencrypted?: boolean;
  readonly mode?: string | undefined;
  readonly ca?: string | undefined;
  readonly client?: Pick<Certificate, "files">;
}

const trusted = { ca: authority.file };

function url({ host = "localhost", user = "encrypted", unencrypted = false, mode = "verify-full", ca, client }: Place): string {
  const parameters = new URLSearchParams({ sslmode: mode });
  if (ca !== undefined) parameters.set("sslrootcert", ca);
  if (client !== undefined) {
    parameters.set("sslcert", client.files.certificate);
    parameters.set("sslkey", client.files.key);
  }
  return `postgresql://${user}@${host}:${String((unencrypted ? plain : server).port)}/postgres?${parameters.toString()}`;
}

/** Has the server show another certificate, and speak TLS up to a version, until the test ends. */
async function reconfigure(certificate: keyof typeof servers, newest = ""): Promise<void> {
  const set = async (shown: keyof typeof servers, version: string): Promise<void> => {
    const settings = { ssl_cert_file: `${shown}.crt`, ssl_key_file: `${shown}.key`, ssl_max_protocol_version: version };
    for (const [name, value] of Object.entries(settings)) await server.run("postgres", `alter system set ${name} = '${value}'`);
    await server.run("postgres", "select pg_reload_conf()");
    while ((await shownTls()) !== `${shown}.key ${version}`) await pause(20);
  };
  onTestFinished(() => set("localhost", ""));
  await set(certificate, newest);
}

/** What new connections are shown. */
async function shownTls(): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: server.url("postgres") });
  await client.connect();
  try {
    const sql = "select current_setting('ssl_key_file') || ' ' || current_setting('ssl_max_protocol_version') as shown";
    return (await client.query<{ shown: string }>(sql)).rows[0]?.shown;
  } finally {
    await client.end();
  }
}

describe.each(Object.entries(connections))("a %s over TLS", (kind, connect) => {
  const failure = (place: Place): Promise<string> => failureOf(() => connect(url(place)));

  it.each<[string, Place]>([
    ["the host name and the authority fit", trusted],
    ["only the authority fits, and the name needn't", { ...trusted, host: "127.0.0.1", mode: "verify-ca" }],
    ["the client shows its certificate", { ...trusted, user: "anna", client: anna }],
  ])("is made when %s", async (_, place) => {
    expect(await failure(place)).toBe("no error");
  });

  it("is made to an address that the certificate names, and to no name that it doesn't", async () => {
    await reconfigure("address");
    expect(await failure({ ...trusted, host: "127.0.0.1" })).toBe("no error");
    expect(await failure(trusted)).toMatch(/its certificate is for other hosts/);
  });

  it.each<[string, Place, RegExp]>([
    [
      "the host has another name",
      { ...trusted, host: "127.0.0.1" },
      /its certificate is for other hosts: correct the host, or .*verify-ca/,
    ],
    ["another authority is named", { ca: clients.file }, /no authority that is trusted vouches for its certificate/],
    ["another authority of the same name is named", { ca: impostor.file }, /no authority that is trusted vouches for its certificate/],
    ["no authority is named", {}, /no authority that is trusted vouches for its certificate: .*sslrootcert/],
    ["verify-ca has no authority", { mode: "verify-ca" }, /no authority that is trusted vouches for its certificate/],
    ["the server has no TLS", { ...trusted, unencrypted: true }, /takes no TLS connections: .*ssl = on/],
    ["the server wants TLS", { mode: "disable" }, /pg_hba\.conf.*sslmode/],
    ["the server wants the client's certificate", { ...trusted, user: "anna" }, /pg_hba\.conf.*sslcert/],
    ["the client's certificate is another user's", { ...trusted, user: "anna", client: berta }, /pg_hba\.conf.*sslcert/],
  ])("is refused when %s", async (_, place, message) => {
    const said = await failure(place);
    expect(said).toMatch(kind === "dataset" ? /^DATABASE_FAILED: / : /^STORE_FAILED: /);
    expect(said).toMatch(message);
  });

  it("is refused when the server refuses the client's certificate", async () => {
    // With TLS 1.3 the server says so after the client has begun to talk, and the connection may be reset before that is heard.
    await reconfigure("localhost", "TLSv1.2");
    for (const client of [stranger, late])
      expect(await failure({ ...trusted, user: "anna", client })).toMatch(/it refuses the certificate of this client: .*sslcert/);
  });

  it("is refused when the server's certificate has expired", async () => {
    await reconfigure("expired");
    expect(await failure(trusted)).toMatch(/its certificate has expired: renew it/);
  });
});

describe("files of TLS", () => {
  const open = (place: Place): Promise<string> => failureOf(() => clientConfigs(parsePostgresUrl(url(place), []), "test"));
  const write = (text: string, mode = 0o600): string => {
    const file = join(mkdtempSync(join(folder, "file-")), "file.pem");
    writeFileSync(file, text);
    chmodSync(file, mode);
    return file;
  };
  const pair = (certificate: string, key: string): Pick<Certificate, "files"> => ({ files: { certificate, key } });

  it.each<[string, () => Place, RegExp]>([
    ["no authority is in sslrootcert", () => ({ ca: write("no certificate") }), /sslrootcert .* no certificate/],
    ["sslrootcert is damaged", () => ({ ca: write(authority.certificate.replace(/MII/, "AAA")) }), /sslrootcert .* damaged/],
    ["sslrootcert is not there", () => ({ ca: join(folder, "nowhere") }), /sslrootcert .* can't be read/],
    ["no certificate is in sslcert", () => ({ client: pair(write("none"), anna.files.key) }), /sslcert .* no certificate/],
    ["no key is in sslkey", () => ({ client: pair(anna.files.certificate, write("none")) }), /sslkey .* no private key/],
    [
      "the key is another certificate's",
      () => ({ client: pair(anna.files.certificate, berta.files.key) }),
      /sslkey .* not the key of sslcert/,
    ],
    ["others may read the key", () => ({ client: pair(anna.files.certificate, write(anna.key, 0o640)) }), /INSECURE_FILE: .*chmod 600/],
  ])("are refused when %s", async (_, place, message) => {
    expect(await open(place())).toMatch(message);
  });
});
