import type { JobOptions, JobProgress } from "../../../src/index.ts";
import { type Crm, createCrm, personDataset } from "./crm.ts";

/** A table `person (id, name, income)` of so many rows, registered as `crm.person` and not protected yet. */
export async function createPersons(rows: number, options: Parameters<typeof createCrm>[1] = {}): Promise<Crm> {
  const crm = await createCrm("CREATE TABLE person (id INTEGER PRIMARY KEY, name, income)", options);
  const insert = crm.database.prepare("INSERT INTO person VALUES (?, ?, ?)");
  crm.database.exec("BEGIN");
  for (let id = 1; id <= rows; id += 1) insert.run(id, `name ${String(id)}`, id);
  crm.database.exec("COMMIT");
  await crm.keystead.datasets.add("crm.person", personDataset({ name: "pii", income: "fin" }));
  return crm;
}

/** Options that pause a job once it has read so many rows, and what it said after each page. */
export function pauseAt(rows: number): { options: JobOptions; pages: JobProgress[] } {
  const controller = new AbortController();
  const pages: JobProgress[] = [];
  const onProgress = (progress: JobProgress): void => {
    pages.push(progress);
    if (progress.scanned >= rows) controller.abort();
  };
  return { options: { signal: controller.signal, onProgress }, pages };
}
