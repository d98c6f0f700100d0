import { z } from "zod";

const versionCountSchema = z.object({
  key: z.string(),
  /** Label, `3-k7f2qd`. */
  version: z.string(),
  count: z.int(),
  /**
   * `current`: nothing to do. `old`: re-encryption moves it. `unknown`: this store doesn't have the version or the key. `destroyed`: it
   * came back after its version had died, and nothing opens it.
   */
  standing: z.enum(["current", "old", "unknown", "destroyed"]),
});

const columnCensusSchema = z.object({
  /** Logical name. */
  column: z.string(),
  nulls: z.int(),
  plaintext: z.int(),
  versions: z.array(versionCountSchema).readonly(),
});

/** How many values of a column one key version protects. */
export type VersionCount = Readonly<z.infer<typeof versionCountSchema>>;

/** What a census found in one protected column. */
export type ColumnCensus = Readonly<z.infer<typeof columnCensusSchema>>;

/** Values of a census that name a version of a key. */
export function countOf(columns: readonly ColumnCensus[], key: string, label: string): number {
  return columns
    .flatMap((column) => column.versions)
    .filter((version) => version.key === key && version.version === label)
    .reduce((sum, version) => sum + version.count, 0);
}

/** The column counts of a stored census; its MAC was checked on load. */
export function storedColumns(counts: string): readonly ColumnCensus[] {
  return z.array(columnCensusSchema).parse(JSON.parse(counts));
}
