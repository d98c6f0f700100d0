import { KeysteadError } from "../errors.ts";

/** How a connection is encrypted: `verify-full` checks certificate and host name, `verify-ca` the certificate alone. */
export type SslMode = "disable" | "verify-ca" | "verify-full";

/** Files of a TLS connection, as paths. */
export interface TlsFiles {
  /** Certificates of the authorities that may vouch for the server; those of Node when left out. */
  readonly ca?: string;
  /** Certificate and private key of this client. */
  readonly certificate?: string;
  readonly key?: string;
}

/** A PostgreSQL database, taken from its URL. */
export interface PostgresUrl {
  readonly host: string;
  readonly port: number;
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
const sslModes: readonly string[] = ["disable", "verify-ca", "verify-full"] satisfies SslMode[];
const tlsParameters = { sslrootcert: "ca", sslcert: "certificate", sslkey: "key" } as const;
const form = "postgresql://USER@HOST:PORT/DATABASE";

/**
 * Reads the URL of a PostgreSQL database: `postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=FILE`, or with
 * the scheme `postgres`. A host that is a folder (percent-encoded, `%2Frun%2Fpostgresql`) is that of a Unix socket.
 *
 * Without `sslmode` a connection to another machine is `verify-full`, one on this machine is not encrypted.
 *
 * @param allowed - Names of further parameters that may stand behind the question mark.
 * @throws KeysteadError `INVALID_ARGUMENT` naming the part that is wrong; never the password.
 */
export function parsePostgresUrl(text: string, allowed: readonly string[]): PostgresUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(?:ql)?:$/.test(url.protocol) || url.hash !== "") throw invalid(`it is written ${form}`);
  const host = decode(url.hostname, "host").replace(/^\[(.*)\]$/, "$1");
  const database = decode(url.pathname.slice(1), "database");
  if (host === "" || database === "" || database.includes("/")) throw invalid(`it needs a host and a database: ${form}`);
  const known = ["sslmode", "passfile", ...Object.keys(tlsParameters), ...allowed];
  const parameters = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    if (!known.includes(name)) throw invalid(`it has a parameter that is not known; those are ${known.join(", ")}`);
    if (value === "" || parameters.has(name)) throw invalid(`parameter ${name} is empty or given twice`);
    parameters.set(name, value);
  }
  const sslMode = parameters.get("sslmode") ?? (isThisMachine(host) ? "disable" : "verify-full");
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
  if (sslMode === "disable" && Object.keys(tls).length > 0) throw invalid("files for TLS make no sense with sslmode=disable");
  url.password = "";
  return {
    host,
    port: url.port === "" ? defaultPort : Number(url.port),
    user: url.username === "" ? undefined : decode(url.username, "user"),
    password: passwordOf(text),
    passwordFile: parameters.get("passfile"),
    database,
    sslMode,
    tls,
    parameters: Object.fromEntries([...parameters].filter(([name]) => allowed.includes(name))),
    display: url.href,
  };
}

function passwordOf(text: string): string | undefined {
  const { password } = new URL(text);
  return password === "" ? undefined : decode(password, "password");
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
