import { userInfo } from "node:os";
import type { ClientConfig } from "pg";
import { readPasswordFile } from "./password-file.ts";
import type { PostgresHost, PostgresUrl } from "./postgres-url.ts";
import { readTlsFiles } from "../tls-files.ts";

/** What a URL calls the files of its connection. */
const tlsParameters = { ca: "sslrootcert", certificate: "sslcert", key: "sslkey" } as const;
/** How long to wait for a connection, in milliseconds. */
const connectionTimeout = 10_000;
/** After so long without a word the operating system asks whether the other side is still there, in milliseconds. */
const keepAliveDelay = 10_000;

/**
 * How `pg` connects to the database of a URL, on each of its hosts. Nothing is taken from the environment. Certificates and passwords
 * are read when this is called.
 *
 * @throws KeysteadError `INVALID_ARGUMENT`, `INSECURE_FILE` for files of the URL
 */
export async function clientConfigs(url: PostgresUrl, applicationName: string): Promise<[ClientConfig, ...ClientConfig[]]> {
  const ssl = url.sslMode === "disable" ? false : await tlsOptions(url);
  const [first, ...others] = url.hosts;
  const configs: [ClientConfig, ...ClientConfig[]] = [await clientConfig(url, first, applicationName, ssl)];
  for (const host of others) configs.push(await clientConfig(url, host, applicationName, ssl));
  return configs;
}

async function clientConfig(
  url: PostgresUrl,
  { host, port }: PostgresHost,
  applicationName: string,
  ssl: ClientConfig["ssl"],
): Promise<ClientConfig> {
  const { database } = url;
  const user = url.user ?? userInfo().username;
  const password = url.passwordFile === undefined ? url.password : await readPasswordFile(url.passwordFile, { host, port, database, user });
  return {
    host,
    port,
    database,
    user,
    // A function, because `pg` would look for an absent password in the environment.
    password: () => password ?? "",
    ssl,
    // Said, because `pg` would take it from the environment.
    sslnegotiation: "postgres",
    application_name: applicationName,
    connectionTimeoutMillis: connectionTimeout,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveDelay,
  };
}

async function tlsOptions({ sslMode, tls }: PostgresUrl): Promise<Exclude<ClientConfig["ssl"], boolean | undefined>> {
  return {
    minVersion: "TLSv1.2",
    rejectUnauthorized: true,
    ...(await readTlsFiles(tls, tlsParameters)),
    ...(sslMode === "verify-ca" && { checkServerIdentity: () => undefined }),
  };
}
