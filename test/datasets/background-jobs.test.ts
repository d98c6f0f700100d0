import { expect, it } from "vitest";
import { JobRuns } from "../../src/datasets/background-jobs.ts";
import { initialProgress } from "../../src/datasets/job-progress.ts";
import type { PlaintextJobResult } from "../../src/datasets/remains.ts";
import { codeOf } from "../support/test-keystead.ts";
import { createCrm, personDataset } from "./support/crm.ts";

const rows = 2_000;
const schema = `CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT);
  WITH RECURSIVE ids(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < ${String(rows)})
  INSERT INTO person SELECT id, 'person-' || id || '@mail.example' FROM ids`;

it("a job that can't be started does not pass for the one that runs, nor for its end", async () => {
  const { keystead } = await createCrm(schema);
  const { backgroundJobs, jobs, datasets } = keystead;
  await datasets.add("crm.person", personDataset({ email: "pii" }));
  const running = await backgroundJobs.start("crm.person", { kind: "protect", options: { rowsPerSecond: 10 } });
  expect(running).toMatchObject({ kind: "protect", state: "running" });
  for (const kind of ["erase-column", "cut-over-column"] as const)
    expect(await codeOf(backgroundJobs.start("crm.person", { kind, column: "email" }))).toBe("INVALID_ARGUMENT");
  expect(await codeOf(backgroundJobs.start("crm.person", { kind: "unprotect" }))).toBe("CONFLICT");
  // One of its kind joins it.
  expect(await backgroundJobs.start("crm.person", { kind: "protect" })).toMatchObject({ id: running.id });
  await jobs.cancel("crm.person");
  const seen = [];
  for await (const sighting of backgroundJobs.watch("crm.person", new AbortController().signal)) seen.push(sighting);
  expect(seen.at(-1)).toMatchObject({ job: { id: running.id, state: "cancelled" } });
});

it("a job that is taken up again is remembered by its new run, one that others join by its first", async () => {
  const resultOf = (state: "done" | "paused"): PlaintextJobResult => ({
    id: "job",
    dataset: "crm.person",
    kind: "protect",
    state,
    dryRun: false,
    progress: initialProgress,
  });
  const runs = new JobRuns();
  const first = Promise.withResolvers<PlaintextJobResult>();
  runs.addFirst("job", first.promise);
  runs.addFirst("job", Promise.resolve(resultOf("done")));
  first.resolve(resultOf("paused"));
  expect(await runs.end("job")).toMatchObject({ state: "paused" });
  runs.addFirst("job", Promise.resolve(resultOf("done")));
  expect(await runs.end("job")).toMatchObject({ state: "done" });
  const failed = Promise.reject<PlaintextJobResult>(new Error("lost"));
  failed.catch(() => undefined);
  runs.add("job", failed);
  await expect(runs.end("job")).rejects.toThrow("lost");
  runs.addFirst("job", Promise.resolve(resultOf("done")));
  expect(await runs.end("job")).toMatchObject({ state: "done" });
});
