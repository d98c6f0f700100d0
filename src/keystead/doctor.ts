import { findAlgorithm } from "../crypto/algorithms.ts";
import { allowAll } from "../access/access-control.ts";
import { takeCensus } from "../datasets/census.ts";
import { describeDataset } from "../datasets/dataset-info.ts";
import { findDataset, listDatasets } from "../datasets/dataset-records.ts";
import { KeysteadError } from "../errors.ts";
import { AuditService } from "../keys/audit-service.ts";
import { asked } from "../keys/audited.ts";
import type { Background } from "../keys/background.ts";
import type { Engine } from "../keys/engine.ts";
import { KekService } from "../keys/kek-service.ts";
import { instant } from "../keys/key-records.ts";
import { readHistory } from "../keys/store-history.ts";
import type { StoreTables } from "../store/store.ts";
import { examineDatasets } from "./dataset-findings.ts";
import { type Diagnosis, failed, warning } from "./diagnosis.ts";
import type { OutsideData } from "./outside-data.ts";
import { examineKeys } from "./key-findings.ts";
import { examineReadiness, type ReadinessCheck } from "./readiness.ts";

/** What the doctor looks at. */
export interface DoctorParts extends OutsideData {
  readonly engine: Engine;
  readonly audit: AuditService;
  readonly background: Background;
}

/** Milliseconds that a standby gets to catch up. */
const standbyPatience = 1_000;

/** Looks at everything that can be wrong with a store. Reads only, but for the censuses that it keeps. */
export class Doctor {
  readonly #parts: DoctorParts;
  readonly #keks: KekService;
  readonly #inner: Engine;

  constructor(parts: DoctorParts) {
    // Who may examine is told of everything: one question, one record, whatever is looked at for it.
    const engine = { ...parts.engine, access: allowAll, caller: { principal: parts.engine.caller.principal } };
    this.#parts = { ...parts, audit: AuditService.boundTo(engine, parts.audit) };
    this.#keks = new KekService(engine);
    this.#inner = engine;
  }

  /** Every check, in the order of a start-up. A check that itself fails is reported, too. */
  examine(): Promise<Diagnosis[]> {
    return asked(this.#parts.engine, { action: "doctor.examine", terms: {} }, () => this.#examine());
  }

  async #examine(): Promise<Diagnosis[]> {
    const checks: [string, () => Promise<Diagnosis[]>][] = [
      ["store", () => this.#store()],
      ["metadata", () => this.#metadata()],
      ["KEKs", () => this.#examineKeks()],
      ["store history", () => this.#history()],
      ["keys", () => examineKeys(this.#parts.engine)],
      ["datasets", () => this.#examineDatasets()],
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

  /** What this process needs to answer calls, looked at now; much quicker than {@link examine}. What failed of the audit is tried again. Never throws. */
  readiness(): Promise<ReadinessCheck[]> {
    return examineReadiness({ ...this.#parts, keks: this.#keks });
  }

  async #store(): Promise<Diagnosis[]> {
    const findings: Diagnosis[] = [];
    const watchProblem = await this.#parts.background.watchProblem();
    if (this.#parts.engine.identity.demo) {
      findings.push(
        warning("store", "this is a demo store: its clock may have been moved, so waiting times mean nothing; keep no real data in it"),
      );
    }
    if (watchProblem !== undefined) {
      const cause = watchProblem instanceof Error ? watchProblem.message : "no cause given";
      findings.push(
        warning("store", `the database does not tell this process of changes (${cause}); until it does, the process looks for them itself`),
      );
    }
    findings.push(...(await this.#standbys()));
    return findings;
  }

  /** What standbys don't have can't become current, so rotations fail meanwhile. */
  async #standbys(): Promise<Diagnosis[]> {
    try {
      await this.#parts.engine.store.replicated?.(standbyPatience);
      return [];
    } catch (error) {
      if (!(error instanceof KeysteadError)) throw error;
      return [warning("store", `keys can't be made or rotated: ${error.message}`)];
    }
  }

  async #metadata(): Promise<Diagnosis[]> {
    const found = await this.#parts.engine.store.verify();
    return found.map(({ table, row, problem }) =>
      failed("metadata", `${table}${row === undefined ? "" : ` ${row}`}: ${problem}; restore the store from a backup`),
    );
  }

  async #examineKeks(): Promise<Diagnosis[]> {
    const keks = await this.#keks.list();
    return keks
      .filter((kek) => !kek.available && kek.wraps > 0)
      .map((kek) => failed("KEKs", `${kek.uri} wraps ${String(kek.wraps)} keys and can't be opened: ${kek.problem ?? "no cause given"}`));
  }

  /** Censuses are counted here and not by their service, which would record each of them. */
  #examineDatasets(): Promise<Diagnosis[]> {
    const { store } = this.#inner;
    return examineDatasets({
      list: () =>
        store.read(async (tables) => Promise.all((await listDatasets(tables)).map((dataset) => describeDataset(tables, dataset)))),
      takeCensus: async (name) => {
        const dataset = await store.read((tables) => findDataset(tables, name));
        return takeCensus(this.#inner, this.#parts.databases, dataset);
      },
    });
  }

  async #history(): Promise<Diagnosis[]> {
    const { witnessProblem } = this.#parts.audit;
    const stopped = await this.#parts.engine.store.read(readStopped);
    const findings: Diagnosis[] = [];
    if (witnessProblem !== undefined) {
      findings.push(
        failed(
          "store history",
          `${witnessProblem}; look for the newer store, or go on with this one by \`keystead doctor --accept-restored\``,
        ),
      );
    }
    for (const { name, why } of stopped)
      findings.push(warning("store history", `${why}, so ${name} seals nothing; run \`keystead keys rotate ${name}\``));
    return findings;
  }

  async #audit(): Promise<Diagnosis[]> {
    const { findings, uncovered } = await this.#parts.audit.verify();
    const reported = findings.map((finding) => {
      const { writer, checkpoint, certificate, sequence = 0 } = finding;
      const place = writer === undefined ? (checkpoint ?? certificate ?? "") : `${writer} record ${String(sequence)}`;
      return failed("audit", `${finding.kind} ${place}: ${finding.problem}`);
    });
    if (this.#parts.audit.problems.some(({ where }) => where === "store"))
      reported.push(warning("audit", `${String(uncovered)} records are not covered by a checkpoint yet; check the store`));
    if (this.#parts.background.problem !== undefined)
      reported.push(failed("audit", "this process can't follow changes of the store; check that the store answers"));
    return reported;
  }
}

/** A key that seals nothing until it is rotated. */
interface StoppedKey {
  readonly name: string;
  readonly why: string;
}

/** Keys whose current version may be in use elsewhere, too. */
async function readStopped(tables: StoreTables): Promise<StoppedKey[]> {
  const { restoredAt, copiedAt } = await readHistory(tables);
  const stopped: StoppedKey[] = [];
  for (const { id, name, algorithm, currentVersion } of await tables.keys.list()) {
    const { kind, messageLimit } = { messageLimit: undefined, ...findAlgorithm(algorithm) };
    const current = currentVersion === null ? undefined : await tables.versions.get({ keyId: id, version: currentVersion });
    if (kind !== "aead" || current === undefined) continue;
    if (current.createdAt <= copiedAt) stopped.push({ name, why: `the store was copied from another on ${instant(copiedAt)}` });
    else if (current.createdAt <= restoredAt && messageLimit !== undefined)
      stopped.push({ name, why: `the store was found put back from a copy on ${instant(restoredAt)} and a nonce could repeat` });
  }
  return stopped.sort((a, b) => (a.name < b.name ? -1 : 1));
}
