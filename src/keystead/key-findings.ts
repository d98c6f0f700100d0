import { findAlgorithm } from "../crypto/algorithms.ts";
import { eachKey } from "../keys/each-key.ts";
import type { Engine } from "../keys/engine.ts";
import { day, describeKey, type KeyInfo, type VersionInfo } from "../keys/key-records.ts";
import { readUsage, type VersionUsage } from "../keys/ledger.ts";
import { type Diagnosis, failed, warning } from "./diagnosis.ts";

const check = "keys";

/** Share of an algorithm's messages after which a key should be rotated. */
const budgetShare = 0.75;

/** A version with its use. */
type UsedVersion = VersionInfo & { readonly usage: VersionUsage };

/** What is wrong with keys: no current version, expiry, rotation, budgets, attempts on versions that wait for destruction. */
export async function examineKeys({ store, clock, registry }: Engine): Promise<Diagnosis[]> {
  await registry.flush();
  const now = clock.now();
  const rows = await store.read((tables) => tables.keys.list());
  const keys = await eachKey(store, rows, async (tables, row) => {
    const key = await describeKey(tables, row);
    const withUsage = async (version: VersionInfo) => ({ ...version, usage: await readUsage(tables, row.id, version.version) });
    return { key, versions: await Promise.all(key.versions.map(withUsage)) };
  });
  return keys.flatMap(({ key, versions }) => [
    ...examineCurrent(key, versions, now),
    ...examineRotation(key, now),
    ...versions.flatMap((version) => examineAttempts(key, version)),
  ]);
}

function examineCurrent({ name, algorithm }: KeyInfo, versions: readonly UsedVersion[], now: number): Diagnosis[] {
  const current = versions.find((version) => version.current);
  if (current === undefined) return [warning(check, `${name} has no current version and protects nothing; activate or rotate it`)];
  const findings: Diagnosis[] = [];
  const rotate = `run \`keystead keys rotate ${name}\``;
  if (current.state !== "active") {
    const resume = current.state === "suspended" ? ` or \`keystead keys resume ${name} ${String(current.version)}\`` : "";
    findings.push(failed(check, `the current version of ${name} is ${current.state} and protects nothing new; ${rotate}${resume}`));
  }
  if (current.expiresAt !== undefined && Date.parse(current.expiresAt) <= now) {
    findings.push(failed(check, `the current version of ${name} expired on ${current.expiresAt}; ${rotate}`));
  }
  const used = current.usage.sealsInDatasets + current.usage.sealsOutsideDatasets;
  const { messageLimit } = { messageLimit: undefined, ...findAlgorithm(algorithm) };
  if (messageLimit !== undefined && used >= messageLimit * budgetShare) {
    const percent = Math.floor((100 * used) / messageLimit);
    findings.push(warning(check, `version ${current.label} of ${name} has used ${String(percent)} % of its messages; ${rotate}`));
  }
  return findings;
}

function examineRotation({ name, rotationDue }: KeyInfo, now: number): Diagnosis[] {
  if (rotationDue === undefined || Date.parse(rotationDue) > now) return [];
  const days = Math.floor((now - Date.parse(rotationDue)) / day);
  return [warning(check, `${name} is due for rotation since ${String(days)} days; run \`keystead keys rotate ${name}\``)];
}

function examineAttempts({ name }: KeyInfo, { state, label, version, stateSince, usage }: UsedVersion): Diagnosis[] {
  const { lastRefusedAt } = usage;
  if (state !== "destruction-pending" || lastRefusedAt === null || lastRefusedAt <= stateSince) return [];
  return [
    failed(
      check,
      `version ${label} of ${name} waits for destruction and somebody tried to open its data, last ${lastRefusedAt}; ` +
        `run \`keystead keys cancel-destroy ${name} ${String(version)}\` and find out who`,
    ),
  ];
}
