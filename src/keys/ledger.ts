import type { StoreTables } from "../store/store.ts";
import { instant } from "./key-records.ts";

/**
 * What is known about the use of one key version. Seals are counted in blocks that processes lease, so a count is above the
 * truth while another process has such a block, or ended without closing; it is below only by what a loop sealed beyond its
 * block without letting the event loop run, before it was killed.
 */
export interface VersionUsage {
  /** Seals made for datasets; the census speaks for them. */
  readonly sealsInDatasets: number;
  /** Seals made for nobody that Keystead knows; tokens of blind indexes that are no dataset's are among them. */
  readonly sealsOutsideDatasets: number;
  readonly opens: number;
  readonly lastOpenedAt: string | null;
  /** Attempts to open while the version's state forbade it. */
  readonly refusals: number;
  readonly lastRefusedAt: string | null;
}

/**
 * Reads the counters of a version.
 * @param unused - leased seals by dataset that this process knows are unused; they are not counted
 */
export async function readUsage(
  tables: StoreTables,
  keyId: string,
  version: number,
  unused: ReadonlyMap<string, number> = new Map(),
): Promise<VersionUsage> {
  const stored = await tables.counters.list({ keyId, version });
  const rows = stored.map((row) => ({ ...row, seals: Math.max(0, row.seals - (unused.get(row.datasetId) ?? 0)) }));
  const sum = (pick: (row: (typeof rows)[number]) => number): number => rows.reduce((total, row) => total + pick(row), 0);
  const latest = (instants: (number | null)[]): string | null => {
    const known = instants.filter((value) => value !== null);
    return known.length === 0 ? null : instant(Math.max(...known));
  };
  return {
    sealsInDatasets: sum((row) => (row.datasetId === "" ? 0 : row.seals)),
    sealsOutsideDatasets: sum((row) => (row.datasetId === "" ? row.seals : 0)),
    opens: sum((row) => row.opens),
    lastOpenedAt: latest(rows.map((row) => row.lastOpenedAt)),
    refusals: sum((row) => row.refusals),
    lastRefusedAt: latest(rows.map((row) => row.lastRefusedAt)),
  };
}
