import type { DestructionStatement } from "../index.ts";
import { formatInstant } from "./instants.ts";
import { formatFacts } from "./table.ts";

/** What a certificate says, for people. */
export function formatStatement(statement: DestructionStatement): string {
  const { key, version, store, reason, principal, evidence, signer } = statement;
  return formatFacts({
    key: key.name,
    "key id": key.id,
    version,
    store,
    created: formatInstant(statement.createdAt),
    scheduled: statement.scheduledAt === undefined ? "never" : formatInstant(statement.scheduledAt),
    destroyed: formatInstant(statement.executedAt),
    reason,
    principal: `${principal.source} ${principal.id}`,
    evidence: JSON.stringify(evidence),
    signer,
  });
}
