import { KeysteadError } from "../errors.ts";
import type { TlsFiles } from "../tls-files.ts";

/** How a connection is encrypted: `verify-full` checks certificate and host name, `verify-ca` the certificate alone. */
export type SslMode = "disable" | "verify-ca" | "verify-full";

/** Where a server listens. A host that begins with a slash is the folder of a Unix socket. */
export interface PostgresHost {
  readonly host: string;
  readonly port: number;
}

/** A PostgreSQL database, taken from its URL. */
export interface PostgresUrl {
  /** In the order in which they are tried. */
  readonly hosts: readonly [PostgresHost, ...PostgresHost[]];
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** File with passwords in the form of libpq's `.pgpass`. */
  readonly passwordFile: string | undefined;
  readonly database: string;
  readonly sslMode: SslMode;
  readonly tls: TlsFiles;
  /** Further parameters, by name: what the caller of {@link parsePostgresUrl} allowed. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The URL without its password. */
  readonly display: string;
}

const defaultPort = 5432;
const mostHosts = 16;
const primaryParameter = "target_session_attrs";
/** What libpq calls a host that takes writes. */
const primaries: readonly string[] = ["read-write", "primary"];
const sslModes: readonly string[] = ["disable", "verify-ca", "verify-full"] satisfies SslMode[];
const tlsParameters = { sslrootcert: "ca", sslcert: "certificate", sslkey: "key" } as const;
const form = "postgresql://USER@HOST:PORT/DATABASE, or with several hosts HOST:PORT,HOST:PORT";

/**
 * Reads the URL of a PostgreSQL database: `postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE`, or with
 * the scheme `postgres`. A host that is a folder (percent-encoded, `%2Frun%2Fpostgresql`) is that of a Unix socket.
 *
 * Several hosts are separated by commas (`a:5432,b:5432`): the one is used that is the primary. `target_session_attrs=read-write` says
 * the same in libpq's words and may stand there.
 *
 * Without `sslmode` a connection to another machine is `verify-full`, one on this machine is not encrypted.
 *
 * @param allowed - Names of further parameters that may stand behind the question mark.
 * @throws KeysteadError `INVALID_ARGUMENT` naming the part that is wrong; never the password.
 */
export function parsePostgresUrl(text: string, allowed: readonly string[]): PostgresUrl {
  const { url, others } = splitHosts(text);
  if (url.hash !== "") throw invalid(`it is written ${form}`);
  const database = decode(url.pathname.slice(1), "database");
  const hosts: PostgresUrl["hosts"] = [hostOf(url), ...others.map(hostOf)];
  if (hosts.some(({ host }) => host === "") || database === "" || database.includes("/"))
    throw invalid(`it needs a host and a database: ${form}`);
  const known = ["sslmode", "passfile", primaryParameter, ...Object.keys(tlsParameters), ...allowed];
  const parameters = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    if (!known.includes(name)) throw invalid(`it has a parameter that is not known; those are ${known.join(", ")}`);
    if (value === "" || parameters.has(name)) throw invalid(`parameter ${name} is empty or given twice`);
    parameters.set(name, value);
  }
  if (!primaries.includes(parameters.get(primaryParameter) ?? "primary"))
    throw invalid(`${primaryParameter} is read-write or primary: what standbys show is late, so they are refused`);
  const sslMode = parameters.get("sslmode") ?? (hosts.every(({ host }) => isThisMachine(host)) ? "disable" : "verify-full");
  if (!isSslMode(sslMode)) {
    throw invalid(
      "sslmode is disable, verify-ca or verify-full: the others do not know whom they talk to; name its authority by sslrootcert",
    );
  }
  const tls = Object.fromEntries(
    Object.entries(tlsParameters).flatMap(([name, property]) => {
      const file = parameters.get(name);
      return file === undefined ? [] : [[property, file]];
    }),
  );
  if (parameters.has("sslcert") !== parameters.has("sslkey")) throw invalid("sslcert and sslkey go together: give both or neither");
  if (sslMode === "disable" && Object.keys(tls).length > 0) throw invalid("files for TLS make no sense with sslmode=disable");
  return {
    hosts,
    user: url.username === "" ? undefined : decode(url.username, "user"),
    password: url.password === "" ? undefined : decode(url.password, "password"),
    passwordFile: parameters.get("passfile"),
    database,
    sslMode,
    tls,
    parameters: Object.fromEntries([...parameters].filter(([name]) => allowed.includes(name))),
    display: displayed(url, others),
  };
}

/** A URL of several hosts, as libpq takes it, is one with the first host, and the others. */
function splitHosts(text: string): { readonly url: URL; readonly others: readonly URL[] } {
  const [, scheme = "", user = "", hosts = "", rest = ""] = /^(postgres(?:ql)?:\/\/)([^/?#]*@)?([^/?#@]*)(.*)$/s.exec(text) ?? [];
  const urls = hosts
    .split(",")
    .map((host) => (URL.canParse(`${scheme}${user}${host}${rest}`) ? new URL(`${scheme}${user}${host}${rest}`) : undefined));
  const parsed = urls.filter((url) => url !== undefined);
  const [url, ...others] = parsed;
  if (scheme === "" || url === undefined || parsed.length < urls.length || urls.length > mostHosts) throw invalid(`it is written ${form}`);
  return { url, others };
}

function hostOf(url: URL): PostgresHost {
  return {
    host: decode(url.hostname, "host").replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? defaultPort : Number(url.port),
  };
}

/** The URL without its password. */
function displayed(url: URL, others: readonly URL[]): string {
  const user = url.username === "" ? "" : `${url.username}@`;
  return `${url.protocol}//${user}${[url, ...others].map(({ host }) => host).join(",")}${url.pathname}${url.search}`;
}

function isSslMode(mode: string): mode is SslMode {
  return sslModes.includes(mode);
}

function isThisMachine(host: string): boolean {
  return host.startsWith("/") || host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function decode(part: string, what: string): string {
  try {
    const decoded = decodeURIComponent(part);
    if (!decoded.includes("\0")) return decoded;
  } catch {
    // Said below.
  }
  throw invalid(`its ${what} is not percent-encoded as it should be`);
}

function invalid(what: string): KeysteadError {
  return new KeysteadError("INVALID_ARGUMENT", `the URL of a PostgreSQL database: ${what}`);
}
