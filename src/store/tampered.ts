import { KeysteadError } from "../errors.ts";
import type { TamperFinding } from "./store.ts";

/** The error for what {@link Store.verify} found; names the first few. */
export function tampered(findings: readonly TamperFinding[]): KeysteadError {
  const named = findings
    .slice(0, 5)
    .map((finding) => `${finding.table}${finding.row === undefined ? "" : ` (${finding.row})`}: ${finding.problem}`);
  const more = findings.length > named.length ? `; and ${findings.length - named.length} more` : "";
  const remedy = "find out who wrote to the database, then restore it from a backup";
  return new KeysteadError("STORE_TAMPERED", `the store was changed by someone without its key: ${named.join("; ")}${more}; ${remedy}`);
}
