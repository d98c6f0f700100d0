import { deriveMetadataKey } from "../../src/store/metadata-key.ts";
import { SqlStore } from "../../src/store/sql/sql-store.ts";
import { SqliteDatabase } from "../../src/store/sqlite/sqlite-database.ts";
import type { StoreTables } from "../../src/store/store.ts";
import type { NewRecord } from "../../src/store/tables.ts";
import type { GoldenAudit } from "./audit-file.ts";
import { type GoldenKeyset, store as golden, storeKey, versionOf } from "./keyset.ts";

const at = golden.createdAt;
const datasetId = "60164e57-0ead-4000-8000-000000000301";
const alias = "E-Mail: Größe 🗝";

/** A store, in memory, that holds the golden keys and audit and something in every table that is MACed. */
export async function createGoldenStore(keyset: GoldenKeyset, audit: GoldenAudit): Promise<SqliteDatabase> {
  const database = await SqliteDatabase.openInMemory();
  const store = new SqlStore(database);
  await store.create({ id: golden.id, demo: false, createdAt: at }, deriveMetadataKey(storeKey), async (tables) => {
    await fillKeys(tables, keyset, audit);
    await fillNames(tables, keyset);
    await fillDataset(tables, keyset);
    await fillAudit(tables, audit);
  });
  // So that a row has a version above 1.
  await store.transaction(async (tables) => {
    const row = await tables.aliases.get({ alias });
    if (row !== undefined) await tables.aliases.update({ ...row, keyId: versionOf(keyset, "7").keyId });
  });
  return database;
}

async function fillKeys(tables: StoreTables, keyset: GoldenKeyset, { certificate }: GoldenAudit): Promise<void> {
  for (const row of keyset.keks) await tables.keks.insert(row);
  for (const row of keyset.wraps) await tables.wraps.insert(row);
  for (const row of keyset.keys) await tables.keys.insert(row);
  for (const row of keyset.versions) await tables.versions.insert(row);
  const destroyed = destroyedVersion(keyset);
  await tables.versions.insert(destroyed);
  const { keyId, version, fingerprint } = destroyed;
  await tables.tombstones.insert({ keyId, version, fingerprint, destroyedAt: at, certificate });
  const counts = { seals: 1_024, opens: 3, refusals: 0, lastOpenedAt: at, lastRefusedAt: null };
  await tables.counters.insert({ keyId, version: 1, datasetId: "", ...counts });
}

function destroyedVersion(keyset: GoldenKeyset): NewRecord<"versions"> {
  const [first] = keyset.versions;
  if (first === undefined) throw new Error("the golden keyset has no version");
  return { ...first, version: 3, fingerprint: "aaaaaa", state: "destroyed", stateReason: "", material: null };
}

async function fillNames(tables: StoreTables, keyset: GoldenKeyset): Promise<void> {
  await tables.aliases.insert({ alias, keyId: versionOf(keyset, "pii-email").keyId });
  for (const name of ["pii", "financial", "medical", "api", "system"]) {
    const description = name === "pii" ? "personenbezogene Daten – Größe" : "";
    const defaultKey = name === "pii" ? "pii-email" : null;
    await tables.purposes.insert({ name, description, defaultKey, rotationDays: null, algorithms: "XAES-256-GCM", hardware: 0 });
  }
  const id = "60164e57-0ead-4000-8000-000000000201";
  await tables.routes.insert({ id, purpose: null, namePrefix: null, kekUri: golden.kekUri });
  await tables.settings.insert({ name: "refreshBound", value: "1000" });
}

async function fillDataset(tables: StoreTables, keyset: GoldenKeyset): Promise<void> {
  const definition = {
    database: "crm",
    table: "person",
    keyColumns: ["id"],
    columns: [{ name: "email", column: "email", key: "pii-email", kind: "typed" }],
    context: { dataset: "crm.person", "row.id": "{id}" },
    nextContext: null,
    indexes: [
      { name: "email", columns: ["email"], column: "email_index", key: "pii-index", kind: "exact", normalisers: ["email"], bits: 12 },
    ],
  };
  const dataset = { id: datasetId, name: "crm.person", definition: JSON.stringify(definition), createdAt: at, removedAt: null };
  await tables.datasets.insert(dataset);
  await tables.indexGenerations.insert({
    datasetId,
    indexName: "email",
    generation: 1,
    column: "email_index",
    columns: '["email"]',
    kind: "exact",
    normaliser: "email",
    normaliserVersion: "1/validator@13.15.35",
    unicodeVersion: "17.0",
    bits: 12,
    parameters: "{}",
    keyId: versionOf(keyset, "pii-index").keyId,
    keyVersion: 1,
    state: "live",
    createdAt: at,
  });
  await tables.censuses.insert({ id: "60164e57-0ead-4000-8000-000000000401", datasetId, takenAt: at, counts: "[]" });
  const done = { kind: "protect", state: "done", progress: "{}", leaseOwner: null, leaseUntil: null, createdAt: at, updatedAt: at };
  await tables.jobs.insert({ id: "60164e57-0ead-4000-8000-000000000501", datasetId, ...done });
}

async function fillAudit(tables: StoreTables, { writers, checkpoints }: GoldenAudit): Promise<void> {
  for (const { writer, lines } of writers) {
    for (const [index, line] of lines.entries()) await tables.auditLines.insert({ writer, sequence: index + 1, line });
  }
  for (const row of checkpoints) await tables.checkpoints.insert(row);
}
