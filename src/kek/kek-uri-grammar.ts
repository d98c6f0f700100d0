/** What the URIs of one scheme look like. */
export interface KekUriGrammar {
  /** Shown to whoever got it wrong. */
  readonly example: string;
  /** Which slashes may follow the colon. */
  readonly slashes: readonly string[];
  /** The canonical path. */
  readonly path: RegExp;
  /** True when the path is a list of attributes (RFC 7512). */
  readonly attributes?: boolean;
  /** Query parameters that the scheme has; undefined = not known here, the provider checks them. */
  readonly parameters?: readonly string[];
  /** Makes equal paths equal text. */
  readonly normalise?: (path: string) => string;
}

const segment = "[A-Za-z0-9_][A-Za-z0-9._~-]*";

const transit: Omit<KekUriGrammar, "example"> = {
  slashes: ["//"],
  path: new RegExp(`^${segment}(?:/${segment})*/keys/${segment}$`),
  parameters: [],
};

const grammars: ReadonlyMap<string, KekUriGrammar> = new Map<string, KekUriGrammar>([
  ["local", { example: "local:NAME", slashes: [""], path: /^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$/, parameters: [] }],
  ["hashivault", { ...transit, example: "hashivault://MOUNT/keys/KEY" }],
  ["openbao", { ...transit, example: "openbao://MOUNT/keys/KEY" }],
  [
    "awskms",
    {
      example: "awskms:///KEY-ARN?region=REGION or awskms:///alias/NAME?region=REGION",
      slashes: ["///"],
      path: /^(?:arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(?:key|alias)\/[A-Za-z0-9/_-]+|alias\/[A-Za-z0-9/_-]+|[A-Za-z0-9-]{1,64})$/,
      parameters: ["region"],
    },
  ],
  [
    "gcpkms",
    {
      example: "gcpkms://projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY",
      slashes: ["//"],
      path: /^projects\/[a-z0-9.:-]+\/locations\/[a-z0-9-]+\/keyRings\/[A-Za-z0-9_-]+\/cryptoKeys\/[A-Za-z0-9_-]+$/,
      parameters: [],
    },
  ],
  [
    "azurekms",
    {
      example: "azurekms://VAULT-HOST/keys/KEY",
      slashes: ["//"],
      path: /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?\/keys\/[A-Za-z0-9-]+$/,
      parameters: [],
      normalise: (path) => path.replace(/^[^/]*/, (host) => host.toLowerCase()),
    },
  ],
  [
    "pkcs11",
    {
      example: "pkcs11:token=TOKEN;object=KEY?module-path=PATH&pin-source=SOURCE",
      slashes: [""],
      path: /^[^/]/,
      attributes: true,
      parameters: ["module-name", "module-path", "pin-source"],
    },
  ],
]);

/** A scheme of somebody else's provider: the provider knows more. */
const foreign: KekUriGrammar = { example: "scheme:path", slashes: ["", "//", "///"], path: /^[^/].*$/ };

/** The rules for a scheme in lower case. */
export function grammarOf(scheme: string): KekUriGrammar {
  return grammars.get(scheme) ?? foreign;
}
