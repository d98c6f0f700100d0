import { resolve } from "node:path";
import type { Authenticator } from "../access/authenticator.ts";
import { OidcAuthenticator } from "../access/oidc/oidc-authenticator.ts";
import type { OidcIssuersInput } from "../access/oidc/settings.ts";
import { systemClock } from "../clock.ts";
import type { Keystead } from "../keystead.ts";
import type { ServerSettings } from "./settings.ts";

/**
 * Everybody who can tell whose a token is: Keystead itself, and the issuers of the settings.
 * @param folder - what the settings' relative paths are relative to
 * @throws KeysteadError `INVALID_ARGUMENT`, `INSECURE_FILE` for files of an issuer
 */
export async function openAuthenticators(
  keystead: Keystead,
  { issuers }: ServerSettings,
  folder: string,
): Promise<readonly Authenticator[]> {
  const { authenticator } = keystead.tokens;
  if (Object.keys(issuers).length === 0) return [authenticator];
  const placed: OidcIssuersInput = {};
  for (const [name, { ca, introspection, ...settings }] of Object.entries(issuers)) {
    const files = {
      ...(ca !== undefined && { ca: resolve(folder, ca) }),
      ...(introspection !== undefined && {
        introspection: { ...introspection, clientSecretFile: resolve(folder, introspection.clientSecretFile) },
      }),
    };
    placed[name] = { ...settings, ...files };
  }
  return [authenticator, await OidcAuthenticator.open(placed, systemClock)];
}
