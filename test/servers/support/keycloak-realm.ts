import { type KeycloakServer, type Tokens, newSecret } from "../../support/keycloak-server.ts";

const realm = "keystead";

const audience = {
  name: "audience",
  protocol: "openid-connect",
  protocolMapper: "oidc-audience-mapper",
  config: { "included.client.audience": "keystead", "access.token.claim": "true", "id.token.claim": "false" },
};

/** Attributes of a client, as Keycloak names them. */
export type ClientAttributes = Readonly<Record<string, string>>;

/**
 * A realm as somebody would set it up for Keystead: the client `keystead` is the audience of the tokens and introspects them; others call
 * on their own account.
 */
export class KeycloakRealm {
  readonly issuer: string;
  /** Secret of the client `keystead`. */
  readonly secret = newSecret();
  readonly #server: KeycloakServer;
  /** Of the newest key, which is above those that Keycloak makes itself. */
  #priority = 1_000;
  readonly #secrets = new Map<string, string>();

  private constructor(server: KeycloakServer) {
    this.#server = server;
    this.issuer = server.issuer(realm);
  }

  static async make(server: KeycloakServer): Promise<KeycloakRealm> {
    const made = new KeycloakRealm(server);
    const roles = { realm: [{ name: "keystead-admins" }, { name: "keystead-users" }] };
    const introspecting = { clientId: "keystead", secret: made.secret, standardFlowEnabled: false };
    await server.admin("POST", "/realms", { realm, enabled: true, sslRequired: "none", roles, clients: [introspecting] });
    return made;
  }

  /** Makes a client that gets tokens for itself. By default they are for Keystead. */
  async addClient(clientId: string, attributes: ClientAttributes = {}, forKeystead = true): Promise<void> {
    const secret = newSecret();
    this.#secrets.set(clientId, secret);
    await this.#admin("POST", "/clients", {
      clientId,
      secret,
      attributes,
      serviceAccountsEnabled: true,
      directAccessGrantsEnabled: true,
      standardFlowEnabled: false,
      protocolMappers: forKeystead ? [audience] : [],
    });
  }

  /** Makes a user with a password and a role. */
  async addUser(username: string, password: string, role: string): Promise<void> {
    const person = { firstName: username, lastName: username, email: `${username}@example.org`, emailVerified: true };
    await this.#admin("POST", "/users", { username, enabled: true, ...person, credentials: [{ type: "password", value: password }] });
    await this.#give(await this.#idOf("/users?exact=true&username=", username), role);
  }

  /** Gives a client's own account a role. */
  async giveRole(clientId: string, role: string): Promise<void> {
    await this.#give(await this.#idOf("/users?exact=true&username=", `service-account-${clientId}`), role);
  }

  /** A token of a client for itself. */
  async token(clientId: string): Promise<string> {
    const form = { grant_type: "client_credentials", client_secret: this.#secretOf(clientId) };
    return (await this.#server.tokens(realm, clientId, form)).access_token;
  }

  /** All tokens of a user, by a client. */
  async login(clientId: string, username: string, password: string): Promise<Tokens> {
    const form = { grant_type: "password", client_secret: this.#secretOf(clientId), username, password, scope: "openid" };
    return this.#server.tokens(realm, clientId, form);
  }

  /** Takes a token back. */
  async revoke(clientId: string, token: string): Promise<void> {
    const body = new URLSearchParams({
      client_id: clientId,
      client_secret: this.#secretOf(clientId),
      token,
      token_type_hint: "access_token",
    });
    const response = await fetch(`${this.issuer}/protocol/openid-connect/revoke`, { method: "POST", body });
    if (!response.ok) throw new Error(`Keycloak does not revoke: ${await response.text()}`);
  }

  /** Makes a signing key, which is used from now on for its algorithm. @returns what removes it */
  async addKey(providerId: string, config: Readonly<Record<string, string>>): Promise<() => Promise<void>> {
    const name = `${providerId}-${String(this.#priority)}`;
    const settings = { priority: String(++this.#priority), enabled: "true", active: "true", ...config };
    const lists = Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, [value]]));
    await this.#admin("POST", "/components", { name, providerId, providerType: "org.keycloak.keys.KeyProvider", config: lists });
    const id = await this.#idOf("/components?name=", name);
    return async () => {
      await this.#admin("DELETE", `/components/${id}`);
    };
  }

  /** The public key that a realm shows, PEM. */
  async publicKey(): Promise<string> {
    const { public_key } = (await (await fetch(this.issuer)).json()) as { readonly public_key: string };
    return `-----BEGIN PUBLIC KEY-----\n${(public_key.match(/.{1,64}/g) ?? []).join("\n")}\n-----END PUBLIC KEY-----\n`;
  }

  async #give(user: string, role: string): Promise<void> {
    await this.#admin("POST", `/users/${user}/role-mappings/realm`, [await this.#admin("GET", `/roles/${role}`)]);
  }

  async #idOf(query: string, name: string): Promise<string> {
    const [found] = (await this.#admin("GET", `${query}${encodeURIComponent(name)}`)) as readonly { readonly id: string }[];
    if (found === undefined) throw new Error(`Keycloak has no ${name}`);
    return found.id;
  }

  #secretOf(clientId: string): string {
    const secret = this.#secrets.get(clientId);
    if (secret === undefined) throw new Error(`no client ${clientId} was made`);
    return secret;
  }

  #admin(method: string, path: string, body?: unknown): Promise<unknown> {
    return this.#server.admin(method, `/realms/${realm}${path}`, body);
  }
}
