/** Who asks. Written into every audit record; never carries a credential. */
export interface Principal {
  /**
   * Where the identity comes from: a program that links the library, the operating system, a token of an identity provider, an API
   * token, nobody who could be told (`anonymous`). `engine` is Keystead's own background work.
   */
  readonly source: PrincipalSource;
  /** Name within the source, 1–255 characters. Of `oidc`: `<issuer's name in the configuration>:<subject>`; of `token`: the token's id. */
  readonly id: string;
  /** What people call it, for readers of the audit; decides nothing. */
  readonly name?: string;
  /** For `engine`: the principal it acts for, `<source>:<id>`. */
  readonly actingFor?: string;
}

/** Every source of principals. */
export const principalSources = ["embedded", "os-user", "oidc", "token", "anonymous", "engine"] as const;

/** Where an identity comes from. */
export type PrincipalSource = (typeof principalSources)[number];

/** The principal of a program that links the library and names nobody. */
export const embeddedPrincipal: Principal = { source: "embedded", id: "embedded" };

/** Who asks for something that nobody has to be named for, and who failed to say who it is. */
export const anonymousPrincipal: Principal = { source: "anonymous", id: "anonymous" };
