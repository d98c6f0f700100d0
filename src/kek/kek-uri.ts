import { KeysteadError } from "../errors.ts";
import { grammarOf } from "./kek-uri-grammar.ts";
import { canonicalEscapes, decodeEscapes, encodeComponent } from "./percent-encoding.ts";

const maxLength = 1024;
const shape = /^([A-Za-z][A-Za-z0-9+.-]*):(\/{2,3})?([^?#]*)(?:\?([^#]*))?$/;
// A credential in a URI ends in logs, process lists and the store. Refused whatever the scheme.
const credentialNames =
  /^(?:.*[-_.])?(?:pin|pin-value|pass|passwd|passwords?|passphrase|secret|secret-?key|access-?key|api-?key|token|credentials?|private-?key)$/i;

function refuse(problem: string): never {
  throw new KeysteadError("INVALID_ARGUMENT", `the KEK URI ${problem}`);
}

/** Splits `name=value` pairs; names once each, values decoded. */
function parsePairs(text: string, separator: string, what: string): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const pair of text.split(separator)) {
    const match = /^([a-z][a-z0-9-]*)=([^=?]+)$/.exec(pair);
    const name = match?.[1];
    const value = match?.[2] === undefined ? undefined : decodeEscapes(match[2]);
    if (name === undefined || value === undefined) refuse(`has a malformed ${what}; write them as name=value`);
    if (pairs.has(name)) refuse(`has ${what} ${name} twice`);
    pairs.set(name, value);
  }
  return new Map([...pairs].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function formatPairs(pairs: ReadonlyMap<string, string>, separator: string): string {
  return [...pairs].map(([name, value]) => `${name}=${encodeComponent(value)}`).join(separator);
}

/**
 * The name of a key-encryption key. It identifies and never authenticates: no user, password or PIN can be in it.
 *
 * Two texts that name the same KEK have the same {@link KekUri.toString}, which is what stores keep and wraps bind.
 */
export class KekUri {
  /** Lower case, for example `local`, `hashivault`, `awskms`. */
  readonly scheme: string;
  /** The text after `scheme:` and its slashes, before `?`, in canonical percent-encoding. For `local:NAME` the name. */
  readonly path: string;
  /** The decoded `name=value` attributes of the path (`pkcs11`), sorted by name; empty for other schemes. */
  readonly attributes: ReadonlyMap<string, string>;
  /** The decoded query parameters, sorted by name. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly #text: string;

  /** Made by {@link parseKekUri}, which has checked every part. */
  constructor(parts: Pick<KekUri, "scheme" | "path" | "attributes" | "parameters"> & { readonly slashes: string }) {
    this.scheme = parts.scheme;
    this.path = parts.path;
    this.attributes = parts.attributes;
    this.parameters = parts.parameters;
    const query = parts.parameters.size === 0 ? "" : `?${formatPairs(parts.parameters, "&")}`;
    this.#text = `${parts.scheme}:${parts.slashes}${parts.path}${query}`;
  }

  /** The canonical text. */
  toString(): string {
    return this.#text;
  }

  toJSON(): string {
    return this.#text;
  }
}

/**
 * Reads the URI of a KEK: `local:NAME`, `hashivault://MOUNT/keys/K` (or `openbao://`), `awskms:///ARN-or-alias?region=R`,
 * `gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K`, `azurekms://HOST/keys/K`,
 * `pkcs11:token=T;object=O?module-path=P&pin-source=S` (RFC 7512). URIs of other schemes must be well-formed by RFC 3986.
 *
 * @throws KeysteadError `INVALID_ARGUMENT` for anything else, above 1,024 characters, and for anything that looks like a credential
 * @example parseKekUri("local:main").toString(); // "local:main"
 */
export function parseKekUri(text: string): KekUri {
  if (text.length === 0 || text.length > maxLength) refuse(`must be text of 1 to ${String(maxLength)} characters`);
  if (!/^[\x21-\x7e]+$/.test(text)) refuse("may hold printable ASCII only; percent-encode other characters");
  const [, rawScheme, slashes = "", rawPath, rawQuery] = shape.exec(text) ?? [];
  if (rawScheme === undefined || rawPath === undefined) refuse("must look like scheme:path, without a fragment, for example local:main");
  const scheme = rawScheme.toLowerCase();
  const grammar = grammarOf(scheme);
  if (rawPath.includes("@")) refuse("must not hold a user or a password; credentials belong in the local configuration");

  let path = canonicalEscapes(rawPath);
  if (path === undefined) refuse("has a malformed percent-encoding or a character that needs one");
  path = grammar.normalise?.(path) ?? path;
  const attributes = grammar.attributes === true ? parsePairs(path, ";", "path attribute") : new Map<string, string>();
  if (rawQuery !== undefined && canonicalEscapes(rawQuery) === undefined)
    refuse("has a malformed percent-encoding or a character that needs one");
  const parameters = rawQuery === undefined ? new Map<string, string>() : parsePairs(rawQuery, "&", "parameter");
  if (grammar.attributes === true) path = formatPairs(attributes, ";");

  for (const name of parameters.keys()) {
    if (credentialNames.test(name)) refuse(`must not hold ${name}; credentials belong in the local configuration`);
    if (grammar.parameters !== undefined && !grammar.parameters.includes(name)) {
      refuse(`has the parameter ${name}, which ${scheme} does not have; known: ${grammar.parameters.join(", ") || "none"}`);
    }
  }
  for (const name of attributes.keys()) if (name.startsWith("pin")) refuse("must not hold a PIN; use pin-source");
  if (!grammar.slashes.includes(slashes) || !grammar.path.test(path)) refuse(`must look like ${grammar.example}`);
  const uri = new KekUri({ scheme, slashes, path, attributes, parameters });
  if (uri.toString().length > maxLength) refuse(`must be text of 1 to ${String(maxLength)} characters`);
  return uri;
}
