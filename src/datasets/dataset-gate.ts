import { KeysteadError } from "../errors.ts";
import type { DestroyGate, DestructionTarget, GateFinding } from "../keys/destroy-gate.ts";
import type { Engine } from "../keys/engine.ts";
import { day, instant } from "../keys/key-records.ts";
import { readUsage } from "../keys/ledger.ts";
import { readSettings } from "../keys/settings.ts";
import type { StoreTables } from "../store/store.ts";
import { takeCensus } from "./census.ts";
import { readZeroSince, versionName } from "./census-history.ts";
import { countOf } from "./column-census.ts";
import type { Databases } from "./databases.ts";
import { type Dataset, listDatasets } from "./dataset-records.ts";

interface DatasetCount {
  readonly dataset: string;
  readonly takenAt: string;
  readonly count: number;
}

/**
 * The destroy gate: a version may die only when a fresh census of every dataset ever registered counts zero, has done so
 * for as long as backups are kept, no blind index names the version, and nothing was sealed outside datasets.
 */
export class DatasetGate implements DestroyGate {
  readonly #engine: Engine;
  readonly #databases: Databases;

  constructor(engine: Engine, databases: Databases) {
    this.#engine = engine;
    this.#databases = databases;
  }

  /** {@link DestroyGate.examine} */
  async examine(target: DestructionTarget, moment: "schedule" | "execute"): Promise<GateFinding> {
    const blockers: string[] = [];
    await this.#engine.registry.flush();
    const censuses = await this.#countEverywhere(target, blockers);
    const { usage, indexes, settings, zeroSince, scheduledAt } = await this.#engine.store.read(async (tables) => ({
      usage: await readUsage(tables, target.keyId, target.version),
      indexes: await liveGenerations(tables, target),
      settings: await readSettings(tables),
      zeroSince: await readZeroSince(tables, versionName(target.keyName, target.label), this.#engine.clock.now()),
      scheduledAt: (await tables.versions.get(target))?.stateAt ?? 0,
    }));
    if (usage.sealsOutsideDatasets > 0) {
      blockers.push(
        `up to ${String(usage.sealsOutsideDatasets)} values were sealed outside datasets, or tokens made of them, where no census finds them (so the version is kept; registering their table now does not change that, see docs/datasets.md)`,
      );
    }
    for (const index of indexes) blockers.push(`blind index ${index} is made with it (the version is kept while the index uses it)`);
    if (moment === "execute") {
      const now = this.#engine.clock.now();
      const retention = settings.backupRetentionDays * day;
      // What was there between two censuses and was moved in time shows by its having been opened.
      const lastOpenedAt = usage.lastOpenedAt === null ? 0 : Date.parse(usage.lastOpenedAt);
      const unneededSince = zeroSince === null ? 0 : Math.max(zeroSince, lastOpenedAt);
      if (unneededSince + retention > now) {
        blockers.push(
          `backups are kept ${String(settings.backupRetentionDays)} days and its data was last seen ${instant(unneededSince)}, by a census or by being opened (try again after ${instant(unneededSince + retention)})`,
        );
      }
      if (usage.lastRefusedAt !== null && Date.parse(usage.lastRefusedAt) > scheduledAt) {
        blockers.push(
          `somebody tried to open its data since destruction was scheduled, last ${usage.lastRefusedAt} (find out who, then cancel and schedule again)`,
        );
      }
    }
    return {
      blockers,
      evidence: {
        censuses,
        zeroSince: zeroSince === null ? null : instant(zeroSince),
        backupRetentionDays: settings.backupRetentionDays,
        seals: { inDatasets: usage.sealsInDatasets, outsideDatasets: usage.sealsOutsideDatasets },
        opens: usage.opens,
        lastOpenedAt: usage.lastOpenedAt,
        refusals: usage.refusals,
        indexGenerations: indexes,
      },
    };
  }

  async #countEverywhere(target: DestructionTarget, blockers: string[]): Promise<DatasetCount[]> {
    const datasets = await this.#engine.store.read(listDatasets);
    const counts: DatasetCount[] = [];
    for (const dataset of datasets) {
      try {
        const census = await takeCensus(this.#engine, this.#databases, dataset);
        const count = countOf(census.columns, target.keyName, target.label);
        counts.push({ dataset: dataset.name, takenAt: census.takenAt, count });
        if (count > 0)
          blockers.push(`${String(count)} values in dataset ${dataset.name} (run \`keystead datasets reencrypt ${dataset.name}\`)`);
      } catch (error) {
        const problem = error instanceof KeysteadError ? error.message : "it could not be read";
        blockers.push(`dataset ${dataset.name} could not be counted: ${problem}`);
      }
    }
    return counts;
  }
}

async function liveGenerations(tables: StoreTables, target: DestructionTarget): Promise<string[]> {
  const generations = await tables.indexGenerations.list({ keyId: target.keyId, keyVersion: target.version });
  const datasets = new Map((await listDatasets(tables)).map((dataset: Dataset) => [dataset.id, dataset.name]));
  return generations
    .filter((row) => row.state !== "retired")
    .map((row) => `${datasets.get(row.datasetId) ?? row.datasetId}/${row.indexName} generation ${String(row.generation)}`);
}
