import { KeysteadError } from "../errors.ts";
import { outstanding } from "../datasets/census.ts";
import type { DatasetService } from "../datasets/dataset-service.ts";
import type { AuditService } from "../keys/audit-service.ts";
import type { Background } from "../keys/background.ts";
import type { Engine } from "../keys/engine.ts";
import { day, describeKey, instant } from "../keys/key-records.ts";
import type { KekService } from "../keys/kek-service.ts";
import { readUsage } from "../keys/ledger.ts";
import { readSettings } from "../keys/settings.ts";

/** How a check went: `warning` wants attention, `failed` wants it now. */
export interface Diagnosis {
  readonly check: string;
  readonly status: "good" | "warning" | "failed";
  /** What was found and what to do. */
  readonly message: string;
}

/** What the doctor looks at. */
export interface DoctorParts {
  readonly engine: Engine;
  readonly audit: AuditService;
  readonly keks: KekService;
  readonly datasets: DatasetService;
  readonly background: Background;
}

/** Looks at everything that can be wrong with a store. Reads only, but for the censuses that it keeps. */
export class Doctor {
  readonly #parts: DoctorParts;

  constructor(parts: DoctorParts) {
    this.#parts = parts;
  }

  /** Every check, in the order of a start-up. A check that itself fails is reported, too. */
  async examine(): Promise<Diagnosis[]> {
    const checks: [string, () => Promise<Diagnosis[]>][] = [
      ["metadata", () => this.#metadata()],
      ["KEKs", () => this.#keks()],
      ["store history", () => this.#history()],
      ["keys", () => this.#keys()],
      ["datasets", () => this.#datasets()],
      ["audit", () => this.#audit()],
    ];
    const findings: Diagnosis[] = [];
    for (const [check, examine] of checks) {
      const found = await examine().catch((error: unknown) => [
        failed(check, error instanceof KeysteadError ? error.message : "the check itself failed"),
      ]);
      findings.push(...(found.length === 0 ? [{ check, status: "good" as const, message: "nothing to report" }] : found));
    }
    return findings;
  }

  async #metadata(): Promise<Diagnosis[]> {
    const found = await this.#parts.engine.store.verify();
    return found.map(({ table, row, problem }) =>
      failed("metadata", `${table}${row === undefined ? "" : ` ${row}`}: ${problem}; restore the store from a backup`),
    );
  }

  async #keks(): Promise<Diagnosis[]> {
    const keks = await this.#parts.keks.list();
    return keks
      .filter((kek) => !kek.available && kek.wraps > 0)
      .map((kek) => failed("KEKs", `${kek.uri} wraps ${String(kek.wraps)} keys and can't be opened: ${kek.problem ?? "no cause given"}`));
  }

  async #history(): Promise<Diagnosis[]> {
    const { witnessProblem } = this.#parts.audit;
    const { restoredAt } = await this.#parts.engine.store.read(readSettings);
    const findings: Diagnosis[] = [];
    if (witnessProblem !== undefined) {
      findings.push(
        failed(
          "store history",
          `${witnessProblem}; look for the newer store, or go on with this one by \`keystead doctor --accept-restored\``,
        ),
      );
    }
    if (restoredAt > 0) {
      findings.push(
        warning(
          "store history",
          `the store was found put back from a copy on ${instant(restoredAt)}; rotate keys with 96-bit nonces that are older`,
        ),
      );
    }
    return findings;
  }

  async #keys(): Promise<Diagnosis[]> {
    const { store, clock, registry } = this.#parts.engine;
    await registry.flush();
    const now = clock.now();
    const keys = await store.read(async (tables) =>
      Promise.all(
        (await tables.keys.list()).map(async (row) => {
          const key = await describeKey(tables, row);
          const usages = await Promise.all(key.versions.map(async ({ version }) => readUsage(tables, row.id, version)));
          return { key, usages };
        }),
      ),
    );
    const findings: Diagnosis[] = [];
    for (const { key, usages } of keys) {
      const current = key.versions.find((version) => version.current);
      if (current === undefined)
        findings.push(warning("keys", `${key.name} has no current version and protects nothing; activate or rotate it`));
      else if (current.state !== "active")
        findings.push(warning("keys", `the current version of ${key.name} is ${current.state}; rotate the key`));
      if (current?.expiresAt !== undefined && Date.parse(current.expiresAt) <= now) {
        findings.push(
          failed("keys", `the current version of ${key.name} expired on ${current.expiresAt}; run \`keystead keys rotate ${key.name}\``),
        );
      }
      if (key.rotationDue !== undefined && Date.parse(key.rotationDue) <= now) {
        const days = Math.floor((now - Date.parse(key.rotationDue)) / day);
        findings.push(
          warning("keys", `${key.name} is due for rotation since ${String(days)} days; run \`keystead keys rotate ${key.name}\``),
        );
      }
      for (const [position, version] of key.versions.entries()) {
        const usage = usages[position];
        if (
          version.state !== "destruction-pending" ||
          usage === undefined ||
          usage.lastRefusedAt === null ||
          usage.lastRefusedAt <= version.stateSince
        )
          continue;
        findings.push(
          failed(
            "keys",
            `version ${version.label} of ${key.name} waits for destruction and somebody tried to open its data, last ${usage.lastRefusedAt}; ` +
              `run \`keystead keys cancel-destroy ${key.name} ${String(version.version)}\` and find out who`,
          ),
        );
      }
    }
    return findings;
  }

  async #datasets(): Promise<Diagnosis[]> {
    const findings: Diagnosis[] = [];
    for (const dataset of await this.#parts.datasets.list()) {
      const census = await this.#parts.datasets.takeCensus(dataset.name).catch((error: unknown) => {
        findings.push(
          failed("datasets", `${dataset.name} can't be counted: ${error instanceof KeysteadError ? error.message : "unknown cause"}`),
        );
        return undefined;
      });
      if (census === undefined) continue;
      const { plaintext, old, unknown } = outstanding(census.columns);
      const labels = census.columns.flatMap((column) => column.versions).filter((version) => version.standing === "unknown");
      const names = [...new Set(labels.map((version) => `${version.key}:${version.version}`))].slice(0, 5).join(", ");
      if (unknown > 0) {
        findings.push(
          failed(
            "datasets",
            `${dataset.name} holds ${String(unknown)} values of versions that this store does not have (${names}): another store's, or newer than this one`,
          ),
        );
      }
      if (plaintext > 0)
        findings.push(
          warning(
            "datasets",
            `${dataset.name} holds ${String(plaintext)} plaintext values; run \`keystead datasets protect ${dataset.name}\``,
          ),
        );
      if (old > 0)
        findings.push(
          warning(
            "datasets",
            `${dataset.name} holds ${String(old)} values of old versions; run \`keystead datasets reencrypt ${dataset.name}\``,
          ),
        );
      for (const index of dataset.indexes) {
        for (const drift of index.drift)
          findings.push(warning("datasets", `index ${index.index} of ${dataset.name}: ${drift}; build a new generation`));
        if (index.state === "building")
          findings.push(
            warning("datasets", `index ${index.index} of ${dataset.name} is not complete; run \`keystead datasets index ${dataset.name}\``),
          );
      }
    }
    return findings;
  }

  async #audit(): Promise<Diagnosis[]> {
    const { findings, uncovered } = await this.#parts.audit.verify();
    const reported = findings.map((finding) => {
      const place = finding.writer === undefined ? (finding.checkpoint ?? "") : `${finding.writer} record ${String(finding.sequence ?? 0)}`;
      return failed("audit", `${finding.kind} ${place}: ${finding.problem}`);
    });
    if (this.#parts.audit.problem !== undefined)
      reported.push(warning("audit", `${String(uncovered)} records are not covered by a checkpoint yet; check the store`));
    if (this.#parts.background.problem !== undefined)
      reported.push(failed("audit", "this process can't follow changes of the store; check that the store answers"));
    return reported;
  }
}

function warning(check: string, message: string): Diagnosis {
  return { check, status: "warning", message };
}

function failed(check: string, message: string): Diagnosis {
  return { check, status: "failed", message };
}
