import { sqlState } from "./sql-state.ts";

const unknownAuthority = "no authority that is trusted vouches for its certificate: name the file of the one that does by sslrootcert";
const refusedCertificate =
  "it refuses the certificate of this client: name one by sslcert and sslkey that has not expired, and whose authority the server knows (ssl_ca_file)";

/** By the code of an error that comes out of the TLS handshake. https://nodejs.org/docs/latest-v24.x/api/tls.html#x509-certificate-error-codes */
const tlsCodes: ReadonlyMap<string, string> = new Map([
  [
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "its certificate is for other hosts: correct the host, or say sslmode=verify-ca where the name can't fit and the authority is this database's alone",
  ],
  ["CERT_HAS_EXPIRED", "its certificate has expired: renew it"],
  ["CERT_NOT_YET_VALID", "its certificate is not valid yet: set the clocks right"],
  ...[
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "UNABLE_TO_GET_ISSUER_CERT",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "CERT_SIGNATURE_FAILURE",
    "CERT_UNTRUSTED",
    "CERT_REJECTED",
    "INVALID_CA",
    "INVALID_PURPOSE",
  ].map((code) => [code, unknownAuthority] as const),
]);

/** By what `pg` says without a code. */
const tlsMessages: ReadonlyMap<string, string> = new Map([
  [
    "The server does not support SSL connections",
    "it takes no TLS connections: set ssl = on there, or say sslmode=disable where nobody can listen",
  ],
  [
    "There was an error establishing an SSL connection",
    "it answered neither yes nor no when it was asked for TLS: check host and port, and the log of the server",
  ],
]);

/**
 * Why a connection was refused that reached the server: its TLS, or the way in which the client came. A clause about the database with
 * its remedy; `undefined` for any other error.
 */
export function connectionProblem(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (sqlState(error) === "28000")
    return "it lets nobody in like this: check the user, and what its pg_hba.conf asks for (sslmode, or a certificate by sslcert and sslkey)";
  const refused = tlsMessages.get(error.message);
  if (refused !== undefined) return refused;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  // Up to TLS 1.2 the handshake fails while it is written, with 1.3 afterwards.
  if (code !== "EPROTO" && !code.startsWith("ERR_SSL_")) return tlsCodes.get(code);
  return /\balert (?:[a-z ]*certificate|unknown ca|access denied)/.test(error.message)
    ? refusedCertificate
    : "the TLS handshake failed: check that it speaks TLS 1.2 or newer";
}
