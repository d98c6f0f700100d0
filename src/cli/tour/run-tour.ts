import { createMasterKeyFile, initKeystead, type Keystead, osUser, systemRandom } from "../../index.ts";
import { csvSource } from "./csv-source.ts";
import { DemoClock } from "./demo-clock.ts";
import { generatedSource } from "./generated-source.ts";
import { Report, type ReportOutput } from "./report.ts";
import { SampleDatabase } from "./sample-database.ts";
import { readAuditKeys, verifyAudit } from "./steps/audit.ts";
import { takeCensus } from "./steps/census.ts";
import { chooseSearches } from "./steps/choose-searches.ts";
import { destroyVersions, refuseDestruction } from "./steps/destruction.ts";
import { findPeople } from "./steps/find-people.ts";
import { protectTable, reencryptTable } from "./steps/jobs.ts";
import { createKeys, rotateKeys } from "./steps/keys.ts";
import { makeTable } from "./steps/make-table.ts";
import { registerTable } from "./steps/register-table.ts";
import { pickRow, showRow } from "./steps/show-row.ts";
import { verifyRows } from "./steps/verify-rows.ts";
import type { TourSummary } from "./summary.ts";
import type { TableSource } from "./table-source.ts";
import type { Tour } from "./tour.ts";
import { Workspace } from "./workspace.ts";

/** What the tour is about. */
export interface TourOptions {
  /** CSV file to read instead of made-up persons. */
  readonly csv?: string;
  /** Columns of it to protect, as a line of CSV. */
  readonly columns?: string;
  /** Number of made-up persons. */
  readonly rows: number;
  /** Folder to leave everything behind in. */
  readonly keep?: string;
}

/** Days between scheduling a destruction and its execution, in the demo store. */
const waitingDays = 7;

/** The demo clock starts a little earlier than that, because rotations wait, too, and a kept store must not come from the future. */
const marginDays = 1 / 1440;

/**
 * Goes through everything once: protect, find, rotate, re-encrypt, destroy, verify. Works in a folder of its own, which is
 * gone afterwards unless it is to be kept.
 *
 * @throws KeysteadError what went wrong, `CANCELLED` by the signal
 */
export async function runTour(
  options: TourOptions,
  output: ReportOutput,
  signal: AbortSignal,
  onWorkspace: (workspace: Workspace) => void,
): Promise<TourSummary> {
  const source = options.csv === undefined ? generatedSource(options.rows) : await csvSource(options.csv, options.columns);
  const report = new Report(output);
  const workspace = await Workspace.open(options.keep);
  onWorkspace(workspace);
  try {
    const summary = await inStore(workspace, (keystead, clock) =>
      inTable(workspace, source, (database) =>
        guide({ keystead, clock, source, database, databaseName: workspace.database, report, signal }),
      ),
    );
    if (options.keep !== undefined) {
      await workspace.keep();
      return { ...summary, folder: workspace.path };
    }
    await workspace.remove();
    return summary;
  } catch (error) {
    await workspace.remove();
    throw error;
  }
}

/** The steps in their order. */
async function guide(tour: Tour): Promise<TourSummary> {
  const { report, source } = tour;
  await report.line(
    "A demo store and a sample table on this machine, which touch nothing else. Waiting times pass at once: its clock can be moved.\n",
  );
  const auditKeys = await readAuditKeys(tour);
  const filled = await report.step("sample table", () => makeTable(tour));
  const plan = await report.step("plaintext scan", () => chooseSearches(tour, filled));
  await report.step("keys", () => createKeys(tour, plan));
  await report.step("register", () => registerTable(tour, plan));
  const before = await report.step("census before", () => takeCensus(tour, plan));
  const row = pickRow(tour);
  const protection = await report.step("protect", async () => {
    const outcome = await protectTable(tour, plan);
    return { ...outcome, details: [...(outcome.details ?? []), "a row as it is stored now:", ...showRow(tour, plan, row)] };
  });
  const finds = await report.step("find", () => findPeople(tour, plan, protection.progress.problems));
  await report.step("rotate", () => rotateKeys(tour, plan));
  const rotated = await report.step("census rotated", () => takeCensus(tour, plan));
  const refusal = await report.step("refuse", () => refuseDestruction(tour, rotated));
  const reencryption = await report.step("re-encrypt", () => reencryptTable(tour, plan));
  const after = await report.step("census after", () => takeCensus(tour, plan));
  const certificates = await report.step("destroy", () => destroyVersions(tour, plan, auditKeys));
  const audit = await report.step("audit", () => verifyAudit(tour, auditKeys));
  const jobs = [protection, reencryption];
  const verified = await report.step("compare", () => verifyRows(tour, plan, Math.max(...jobs.map(({ progress }) => progress.problems))));
  return {
    source: source.kind,
    rows: plan.rows,
    values: plan.values,
    seconds: report.seconds,
    steps: report.timings,
    columns: Object.fromEntries(
      plan.purposes.map((purpose) => [purpose, plan.columns.filter((column) => column.purpose === purpose).map(({ name }) => name)]),
    ),
    census: { before, protected: protection.census, rotated, after },
    finds,
    refusal,
    certificates,
    audit,
    verified,
    problems: jobs.flatMap(({ progress }) => progress.firstProblems.map(({ column, code, message }) => ({ column, code, message }))),
  };
}

/** With a demo store in the workspace, which is closed afterwards. */
async function inStore<T>(workspace: Workspace, work: (keystead: Keystead, clock: DemoClock) => Promise<T>): Promise<T> {
  const clock = new DemoClock({ daysBehind: waitingDays + marginDays });
  await createMasterKeyFile(workspace.masterKeyFile, "main", systemRandom);
  const keystead = await initKeystead({
    store: workspace.storeUrl,
    masterKeyFile: workspace.masterKeyFile,
    databases: { [workspace.database]: `sqlite:${workspace.databasePath}` },
    demo: true,
    settings: { destructionWaitingDays: waitingDays },
    principal: osUser().principal,
    clock,
  });
  try {
    return await work(keystead, clock);
  } finally {
    await keystead.close();
  }
}

/** With the sample table in the workspace, which is closed afterwards. */
async function inTable<T>(workspace: Workspace, source: TableSource, work: (database: SampleDatabase) => Promise<T>): Promise<T> {
  const database = new SampleDatabase(workspace.databasePath, source);
  try {
    return await work(database);
  } finally {
    database.close();
  }
}
