import type { ServerSettings } from "./settings.ts";

const yearSeconds = 31_536_000;

/**
 * Headers of every answer. Nothing here is a page: nobody may show, keep or guess the type of what is answered. `Strict-Transport-Security`
 * where clients come by HTTPS.
 */
export function securityHeaders({ tls, publicUrl }: Pick<ServerSettings, "tls" | "publicUrl">): Readonly<Record<string, string>> {
  const isSecure = tls !== undefined || publicUrl?.startsWith("https:") === true;
  return {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    ...(isSecure && { "strict-transport-security": `max-age=${yearSeconds}` }),
  };
}
