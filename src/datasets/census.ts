import { randomUuid } from "../crypto/uuid.ts";
import type { Engine } from "../keys/engine.ts";
import { instant } from "../keys/key-records.ts";
import { describeVersion } from "../keys/keyset.ts";
import type { StoreTables } from "../store/store.ts";
import { keepCensus, versionName } from "./census-history.ts";
import type { ColumnCensus, VersionCount } from "./column-census.ts";
import type { Databases } from "./databases.ts";
import { type Dataset, layoutOf } from "./dataset-records.ts";
import { indexColumns, isShadow } from "./definition.ts";
import type { DatasetSource, GenerationCount, HeaderCount } from "./source.ts";

/** How many rows carry a token of each generation in a column of an index; `none` counts rows without one, `malformed` what is no token. */
export interface IndexCensus {
  readonly index: string;
  /** Physical column. While one generation takes the place of another, an index has two. */
  readonly column: string;
  readonly generations: Readonly<Record<string, number>>;
  readonly none: number;
  readonly malformed: number;
}

/** A count of everything in a dataset, by the database, without opening anything. */
export interface Census {
  readonly dataset: string;
  readonly takenAt: string;
  readonly columns: readonly ColumnCensus[];
  readonly indexes: readonly IndexCensus[];
}

interface KnownVersions {
  /** Labels that this store has, by key name. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>;
  readonly current: ReadonlyMap<string, string>;
  /** Names of those that are not destroyed. */
  readonly usable: ReadonlySet<string>;
}

/**
 * Takes a census and keeps it in the store, where the destroy gate reads it.
 * @throws KeysteadError `UNKNOWN_DATABASE`, `DATABASE_FAILED`, `DATASET_UNSUITABLE`
 */
export async function takeCensus(engine: Engine, databases: Databases, dataset: Dataset, signal?: AbortSignal): Promise<Census> {
  const source = await databases.open(dataset.definition.database, layoutOf(dataset.definition));
  try {
    const takenAt = engine.clock.now();
    const headers = await source.countHeaders(signal);
    const tokens = await source.countGenerations(signal);
    const uncovered = await countUncovered(source, dataset, signal);
    const known = await engine.store.read(readKnownVersions);
    const census: Census = {
      dataset: dataset.name,
      takenAt: instant(takenAt),
      columns: dataset.definition.columns.map((column) =>
        withUncovered(
          columnCensus(
            column.name,
            column.key,
            headers.filter((header) => header.column === column.column),
            known,
          ),
          uncovered.get(column.name) ?? 0,
        ),
      ),
      indexes: dataset.definition.indexes.flatMap((index) => indexColumns(index).map((column) => indexCensus(index.name, column, tokens))),
    };
    const counts = JSON.stringify(census.columns);
    const row = { id: randomUuid(engine.random), datasetId: dataset.id, takenAt, counts };
    await engine.store.transaction((tables) => keepCensus(tables, row, known.usable));
    return census;
  } finally {
    await source.close();
  }
}

/** By logical column, the rows whose plaintext, in another column, has no ciphertext yet. */
async function countUncovered(
  source: DatasetSource,
  { definition }: Dataset,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, number>> {
  const shadowed = definition.columns
    .filter(isShadow)
    .map(({ name, column, plaintext }) => ({ name, column, plaintext: plaintext.column }));
  if (shadowed.length === 0) return new Map();
  const counts = await source.countUncovered?.(shadowed, signal);
  return new Map(shadowed.map(({ name }, place) => [name, counts?.[place] ?? 0]));
}

/** A row without ciphertext counts as plaintext, wherever its plaintext is. */
function withUncovered(census: ColumnCensus, uncovered: number): ColumnCensus {
  return { ...census, nulls: Math.max(0, census.nulls - uncovered), plaintext: census.plaintext + uncovered };
}

/** What is left to do in a census, by kind. */
export function outstanding(columns: readonly ColumnCensus[]): {
  readonly plaintext: number;
  readonly old: number;
  readonly unknown: number;
  readonly destroyed: number;
  readonly ciphertext: number;
} {
  const versions = columns.flatMap((column) => column.versions);
  const sum = (standing?: VersionCount["standing"]): number =>
    versions.filter((version) => standing === undefined || version.standing === standing).reduce((total, { count }) => total + count, 0);
  return {
    plaintext: columns.reduce((total, column) => total + column.plaintext, 0),
    old: sum("old"),
    unknown: sum("unknown"),
    destroyed: sum("destroyed"),
    ciphertext: sum(),
  };
}

async function readKnownVersions(tables: StoreTables): Promise<KnownVersions> {
  const keys = await tables.keys.list();
  const labels = new Map<string, Set<string>>(keys.map((key) => [key.name, new Set()]));
  const current = new Map<string, string>();
  const usable = new Set<string>();
  const byId = new Map(keys.map((key) => [key.id, key]));
  for (const row of await tables.versions.list()) {
    const key = byId.get(row.keyId);
    if (key === undefined) continue;
    const { label, phase } = describeVersion(row);
    labels.get(key.name)?.add(label);
    if (phase !== "destroyed") usable.add(versionName(key.name, label));
    if (key.currentVersion === row.version) current.set(key.name, label);
  }
  return { labels, current, usable };
}

function columnCensus(column: string, columnKey: string, headers: readonly HeaderCount[], known: KnownVersions): ColumnCensus {
  const total = (kind: HeaderCount["kind"]): number =>
    headers.filter((header) => header.kind === kind).reduce((sum, { count }) => sum + count, 0);
  const versions = headers
    .filter((header) => header.kind === "ciphertext")
    .map(({ key = "", label = "", count }): VersionCount => ({
      key,
      version: label,
      count,
      standing: standing(key, label, columnKey, known),
    }));
  return { column, nulls: total("null"), plaintext: total("plaintext"), versions: versions.sort(byVersion) };
}

function standing(key: string, label: string, columnKey: string, known: KnownVersions): VersionCount["standing"] {
  if (known.labels.get(key)?.has(label) !== true) return "unknown";
  if (!known.usable.has(versionName(key, label))) return "destroyed";
  return key === columnKey && known.current.get(key) === label ? "current" : "old";
}

function byVersion(a: VersionCount, b: VersionCount): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return Number.parseInt(a.version, 10) - Number.parseInt(b.version, 10);
}

function indexCensus(index: string, column: string, counts: readonly GenerationCount[]): IndexCensus {
  const tokens = counts.filter((token) => token.column === column);
  const count = (generation: number | null): number =>
    tokens.filter((token) => token.generation === generation).reduce((sum, token) => sum + token.count, 0);
  const generations = [...new Set(tokens.map((token) => token.generation))].filter((generation) => generation !== null && generation >= 0);
  return {
    index,
    column,
    generations: Object.fromEntries(generations.map((generation) => [String(generation), count(generation)])),
    none: count(null),
    malformed: count(-1),
  };
}
