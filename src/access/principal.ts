/** Who asks. Written into every audit record; never carries a credential. */
export interface Principal {
  /** Where the identity comes from. `engine` is Keystead's own background work. */
  readonly source: "embedded" | "os-user" | "engine";
  /** Name within the source, 1–255 characters. */
  readonly id: string;
  /** For `engine`: the principal it acts for. */
  readonly actingFor?: string;
}

/** The principal of a program that links the library and names nobody. */
export const embeddedPrincipal: Principal = { source: "embedded", id: "embedded" };
