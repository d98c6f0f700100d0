import { actionNames } from "../access/actions.ts";

/** Values of labels whose text comes from elsewhere; whatever is not among them is `other`. */
const knownValues = {
  action: new Set(actionNames),
  method: new Set(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
  status: new Set(["1xx", "2xx", "3xx", "4xx", "5xx"]),
  kind: new Set(["protect", "reencrypt", "import", "recontext", "unprotect", "index", "verify", "erase"]),
  source: new Set(["sqlite", "postgres"]),
  check: new Set(["store", "KEKs", "audit", "access", "changes", "TLS", "server"]),
} as const satisfies Readonly<Record<string, ReadonlySet<string>>>;

/** A value that the label may have: the text itself, or `other`. */
export function known(label: keyof typeof knownValues, text: string): string {
  return knownValues[label].has(text) ? text : "other";
}
