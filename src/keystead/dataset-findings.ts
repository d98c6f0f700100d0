import { type Census, outstanding } from "../datasets/census.ts";
import type { VersionCount } from "../datasets/column-census.ts";
import type { DatasetInfo } from "../datasets/dataset-info.ts";
import { KeysteadError } from "../errors.ts";
import { type Diagnosis, failed, warning } from "./diagnosis.ts";

const check = "datasets";

/** Versions that a finding names at most. */
const namedVersions = 5;

/** What datasets are examined by. */
export interface DatasetLook {
  readonly list: () => Promise<readonly DatasetInfo[]>;
  readonly takeCensus: (name: string) => Promise<Census>;
}

/** What is wrong with datasets: values without protection, of old versions, of destroyed ones, of nobody here; indexes that are not complete, contexts under way. */
export async function examineDatasets(datasets: DatasetLook): Promise<Diagnosis[]> {
  const findings: Diagnosis[] = [];
  for (const dataset of await datasets.list()) {
    try {
      findings.push(
        ...examineCensus(dataset, await datasets.takeCensus(dataset.name)),
        ...examineIndexes(dataset),
        ...examineContext(dataset),
      );
    } catch (error) {
      const problem = error instanceof KeysteadError ? error.message : "unknown cause";
      findings.push(failed(check, `${dataset.name} can't be counted: ${problem}`));
    }
  }
  return findings;
}

function examineCensus({ name }: DatasetInfo, { columns }: Census): Diagnosis[] {
  const { plaintext, old, unknown, destroyed } = outstanding(columns);
  const findings: Diagnosis[] = [];
  if (unknown > 0) {
    findings.push(
      failed(
        check,
        `${name} holds ${String(unknown)} values of versions that this store does not have (${labelsOf(columns, "unknown")}): another store's, or newer than this one`,
      ),
    );
  }
  if (destroyed > 0) {
    findings.push(
      failed(
        check,
        `${name} holds ${String(destroyed)} values of versions that were destroyed (${labelsOf(columns, "destroyed")}): they came back from a backup or a standby, and nothing opens them; take newer ones from the old primary or a later backup`,
      ),
    );
  }
  if (plaintext > 0) {
    findings.push(
      warning(
        check,
        `${name} holds ${String(plaintext)} plaintext values; run \`keystead datasets protect ${name}\`; what another system encrypted is taken in by \`keystead datasets reencrypt ${name} --from CODEC\` instead`,
      ),
    );
  }
  if (old > 0)
    findings.push(warning(check, `${name} holds ${String(old)} values of old versions; run \`keystead datasets reencrypt ${name}\``));
  return findings;
}

/** Names of the versions of a standing, the first few. */
function labelsOf(columns: Census["columns"], standing: VersionCount["standing"]): string {
  const versions = columns.flatMap((column) => column.versions).filter((version) => version.standing === standing);
  return [...new Set(versions.map(({ key, version }) => `${key}:${version}`))].slice(0, namedVersions).join(", ");
}

function examineContext({ name, nextContext }: DatasetInfo): Diagnosis[] {
  if (nextContext === undefined) return [];
  return [warning(check, `${name} is on its way to another context and accepts both; go on with \`keystead datasets recontext ${name}\``)];
}

function examineIndexes({ name, indexes }: DatasetInfo): Diagnosis[] {
  return indexes.flatMap(({ index, generation, drift, state }) => {
    const which = `generation ${String(generation)} of index ${index} of ${name}`;
    return [
      ...drift.map((change) => warning(check, `${which}: ${change}; make it anew with \`keystead datasets generation start\``)),
      ...(state === "building" ? [warning(check, `${which} is not complete; run \`keystead datasets index ${name}\``)] : []),
      ...(state === "leaving"
        ? [warning(check, `${which} is being dropped; start applications anew that write it, then run \`keystead datasets index ${name}\``)]
        : []),
    ];
  });
}
