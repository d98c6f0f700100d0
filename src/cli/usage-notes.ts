import type { KeyUsage } from "../index.ts";

type UsageNotes = Readonly<Record<Exclude<KeyUsage, "agree">, string>>;

/** What becomes of what the versions before made, when a key has a new one. */
export const rotationNotes: UsageNotes = {
  encrypt: "what is stored stays under the old versions until `keystead datasets reencrypt`, or `keystead rewrap` outside datasets",
  "blind-index":
    "stored tokens stay under the version that their index was made with, and so do new ones of that index; indexes that are added from now on use the new version, and so does another generation of an index (`keystead datasets generation start`)",
  mac: "tags that were made stay under the old versions, which still verify them",
  sign: "signatures that were made stay good under the public keys of the old versions",
};

/** What to do about what a compromised version made. */
export const compromiseNotes: UsageNotes = {
  encrypt:
    "move its data to another version with `keystead datasets reencrypt`, and `keystead rewrap` outside datasets; files are decrypted and encrypted anew",
  "blind-index":
    "searches by its indexes are refused, while jobs keep their tokens right; rotate the key, then make them anew under its current version with `keystead datasets generation start`",
  mac: "its tags are not verified any more; make new ones with the current version",
  sign: "what it signed can't be told from forgeries; sign it anew with the current version",
};

/** The notes on a key of these usages. */
export function notesOn(usages: readonly string[], notes: UsageNotes): string[] {
  return Object.entries(notes)
    .filter(([usage]) => usages.includes(usage))
    .map(([, note]) => note);
}
