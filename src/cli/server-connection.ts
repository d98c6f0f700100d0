import type { ConnectionOptions } from "../client/index.ts";
import { KeysteadError } from "../errors.ts";

/** Environment variables that say how a server is reached. */
const variables = {
  token: "KEYSTEAD_TOKEN",
  tokenFile: "KEYSTEAD_TOKEN_FILE",
  ca: "KEYSTEAD_CACERT",
  certificate: "KEYSTEAD_CLIENT_CERT",
  key: "KEYSTEAD_CLIENT_KEY",
} as const;

/** Milliseconds within which an answer has to begin: some look at every record, or every row of a table. */
const patience = 600_000;
const longestToken = 64 * 1024;

/**
 * How the server at an address is reached, as the environment says. Nothing of it is an argument, which others could see.
 * @throws KeysteadError `UNAUTHENTICATED` without a token, `INSECURE_FILE` for a file with a secret that others may read, `INVALID_ARGUMENT`
 */
export async function connectionTo(url: string): Promise<ConnectionOptions> {
  const { readTlsFiles } = await import("../tls-files.ts");
  const [ca, certificate, key] = [variable("ca"), variable("certificate"), variable("key")];
  if ((certificate === undefined) !== (key === undefined))
    throw new KeysteadError("INVALID_ARGUMENT", `${variables.certificate} and ${variables.key} belong together; set both, or neither`);
  const files = { ...(ca !== undefined && { ca }), ...(certificate !== undefined && { certificate }), ...(key !== undefined && { key }) };
  const tls = await readTlsFiles(files, variables);
  const authorities = pem(tls.ca);
  const [own, secret] = [pem(tls.cert), pem(tls.key)];
  return {
    url,
    token: await readToken(),
    timeout: patience,
    ...(authorities !== undefined && { ca: authorities }),
    ...(own !== undefined && secret !== undefined && { certificate: { cert: own, key: secret } }),
  };
}

async function readToken(): Promise<string> {
  const [token, file] = [variable("token"), variable("tokenFile")];
  if (token !== undefined && file !== undefined)
    throw new KeysteadError("INVALID_ARGUMENT", `${variables.token} and ${variables.tokenFile} are both set; keep one of them`);
  if (token !== undefined) return token.trim();
  if (file === undefined) {
    throw new KeysteadError(
      "UNAUTHENTICATED",
      `KEYSTEAD_ADDR names a server, and there is no token for it; write one into a file (mode 0600) and name that in ${variables.tokenFile}, or set ${variables.token}`,
    );
  }
  const { readPrivateFile } = await import("../private-file.ts");
  const words = { what: `file of ${variables.tokenFile}`, remedy: "write the token into it, mode 0600", code: "INVALID_ARGUMENT" } as const;
  const bytes = await readPrivateFile(file, longestToken, words);
  if (bytes === undefined)
    throw new KeysteadError("INVALID_ARGUMENT", `${variables.tokenFile} ${file} is too large for a token; correct the path`);
  return bytes.toString("utf8").trim();
}

function variable(name: keyof typeof variables): string | undefined {
  const value = process.env[variables[name]];
  return value === "" ? undefined : value;
}

/** What {@link readTlsFiles} gives is one text or its bytes. */
function pem(value: unknown): string | Uint8Array | undefined {
  return typeof value === "string" || value instanceof Uint8Array ? value : undefined;
}
