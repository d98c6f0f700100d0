import { KeysteadError } from "../errors.ts";
import type { StoreTables } from "../store/store.ts";
import type { StoredRecord } from "../store/tables.ts";

/** The purpose of Keystead's own keys. */
export const systemPurpose = "system";

/** Purposes that every new store has. */
export const seededPurposes: readonly { readonly name: string; readonly description: string }[] = [
  { name: "pii", description: "personal data: names, addresses, e-mail, phone, identifiers" },
  { name: "financial", description: "bank details, incomes, payments" },
  { name: "medical", description: "health data" },
  { name: "credentials", description: "passwords and tokens of other systems" },
  { name: "api", description: "keys and payloads of interfaces" },
  { name: "backup", description: "backups and exports" },
];

/** Finds a registered purpose. @throws KeysteadError `UNKNOWN_PURPOSE` naming those that are registered. */
export async function findPurpose(tables: StoreTables, name: string): Promise<StoredRecord<"purposes">> {
  const purpose = isPurposeName(name) ? await tables.purposes.get({ name }) : undefined;
  if (purpose !== undefined) return purpose;
  const known = (await tables.purposes.list()).map((row) => row.name).filter((known) => known !== systemPurpose);
  throw new KeysteadError(
    "UNKNOWN_PURPOSE",
    `no purpose ${isPurposeName(name) ? `is named ${name}` : "has this name"}; registered are ${known.join(", ")} (\`keystead purposes create\` registers another)`,
  );
}

/** True for a name that a purpose may have: 1–64 of `a-z 0-9 -`, beginning with a letter. */
export function isPurposeName(text: string): boolean {
  return /^[a-z][a-z0-9-]{0,63}$/.test(text);
}
