import type { Command } from "commander";
import type { JobInfo } from "../../index.ts";
import { formatDuration } from "../instants.ts";
import { runJob, type RunFlags, withRunOptions } from "../job-run.ts";
import { examples } from "../options.ts";
import { formatProblems } from "../problem-table.ts";
import { withKeystead } from "../session.ts";
import { formatCount, formatTable, type TableColumn } from "../table.ts";

interface ResumeFlags extends RunFlags {
  readonly job?: string;
}

/** Adds `jobs`. */
export function addJobCommands(program: Command): void {
  const jobs = program
    .command("jobs")
    .description("Jobs on datasets, wherever they run: look at them, pause, resume and cancel them.")
    .addHelpText("after", examples("keystead jobs list", "keystead jobs pause crm.person", "keystead jobs resume crm.person --rate 500"));
  jobs
    .command("list")
    .description("List all jobs, the newest first.")
    .addHelpText("after", examples("keystead jobs list"))
    .action((_flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const found = await keystead.jobs.list();
        await output.result(found, () => formatTable(found, columns));
      }),
    );
  act(jobs, "show", "Show the newest job on a dataset, with the rows that it left alone.", ["keystead jobs show crm.person"]);
  act(jobs, "pause", "Let all workers stop after the rows at hand. A dry run ends for good.", [
    "keystead jobs pause crm.person",
    "keystead jobs resume crm.person",
  ]);
  act(jobs, "cancel", "Stop a job for good. What it did stays; the next one takes up what is left.", ["keystead jobs cancel crm.person"]);
  withRunOptions(jobs.command("resume").description("Go on with a job that was paused, killed or failed, or join its workers."))
    .argument("<dataset>", "name of a dataset")
    .option("--job <id>", "only this job, and only while others work on it")
    .addHelpText(
      "after",
      examples("keystead jobs resume crm.person", "# one more process for a job that runs", "keystead jobs resume crm.person"),
    )
    .action((dataset: string, flags: ResumeFlags, command: Command) =>
      runJob({ title: `resume ${dataset}`, dataset }, flags, command, ({ jobs: service }, options) =>
        service.resume(dataset, { ...options, ...(flags.job !== undefined && { job: flags.job }) }),
      ),
    );
}

function act(jobs: Command, name: "show" | "pause" | "cancel", description: string, lines: readonly string[]): void {
  jobs
    .command(name)
    .description(description)
    .argument("<dataset>", "name of a dataset")
    .addHelpText("after", examples(...lines))
    .action((dataset: string, _flags: unknown, command: Command) =>
      withKeystead(command, async ({ keystead, output }) => {
        const job = await keystead.jobs[name](dataset);
        await output.result(job, () => formatTable([job], columns));
        const { problems, firstProblems } = job.progress;
        if (name === "show" && problems > 0) output.note(formatProblems(firstProblems, problems));
      }),
    );
}

const columns: readonly TableColumn<JobInfo>[] = [
  { title: "dataset", cell: ({ dataset }) => dataset },
  { title: "job", cell: ({ kind, dryRun }) => (dryRun ? `${kind} (dry run)` : kind) },
  { title: "state", cell: ({ state, workers }) => (state === "running" && workers.length === 0 ? "killed" : state) },
  { title: "rows", cell: ({ progress }) => `${formatCount(progress.scanned)} of ${formatCount(progress.total)}` },
  { title: "changed", cell: ({ progress }) => formatCount(progress.replaced) },
  { title: "left alone", cell: ({ progress }) => formatCount(progress.problems) },
  { title: "rate", cell: ({ rowsPerSecond }) => (rowsPerSecond === undefined ? undefined : `${formatCount(rowsPerSecond)}/s`) },
  { title: "workers", cell: ({ workers }) => workers.map(({ host, process }) => `${host}:${String(process)}`).join(",") },
  { title: "left", cell: ({ restMilliseconds }) => (restMilliseconds === undefined ? undefined : formatDuration(restMilliseconds)) },
  { title: "updated", cell: ({ updatedAt }) => updatedAt },
];
