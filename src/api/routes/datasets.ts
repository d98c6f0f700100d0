import { z } from "zod";
import type { JobOrder } from "../../datasets/background-jobs.ts";
import { datasetInput, generationInput, indexInput } from "../../datasets/definition.ts";
import { toTypedJson } from "../../crypto/typed-json.ts";
import { canonicalTypes } from "../../fields/canonical-text.ts";
import { eventRoute, jsonRoute, type JsonRow, type Nothing, usual } from "../route-row.ts";
import { problems } from "../route-problems.ts";
import { datasetText, list } from "../schemas/common.ts";
import { addedDataset, census, datasetInfo, findResult, indexPlan, jobInfo, jobResult } from "../schemas/datasets.ts";

const datasetParams = z.strictObject({ dataset: datasetText });
const indexParams = z.strictObject({ dataset: datasetText, index: datasetText });
const generationParams = indexParams.extend({
  generation: z.coerce
    .number()
    .int()
    .min(1)
    .max(2 ** 31 - 1),
});
const columnParams = z.strictObject({ dataset: datasetText, column: datasetText });

const pace = {
  rowsPerSecond: z.exactOptional(z.int().min(1).max(1_000_000)),
  latencyGuard: z.exactOptional(z.number().min(1.1).max(100)),
  problemLimit: z.exactOptional(z.int().min(0).max(1_000_000_000)),
};
const jobOptions = z.strictObject({ ...pace, dryRun: z.exactOptional(z.boolean()) });
const search = list(z.union([z.string(), z.number()]));

type JobRow<P extends z.ZodType, B extends z.ZodType> = JsonRow<P, Nothing, B, typeof jobInfo, false>;

/** A route that starts a job, which goes on by itself. */
function jobRoute<P extends z.ZodType<{ dataset: string }>, B extends z.ZodType>(
  row: Pick<JobRow<P, B>, "summary" | "action" | "otherActions" | "params" | "body"> & {
    readonly order: (params: z.output<P>, body: z.output<B>) => JobOrder;
  },
): JobRow<P, B> {
  const { order, ...facts } = row;
  return jsonRoute({
    ...usual,
    ...facts,
    tag: "jobs",
    status: 202,
    problems: ["UNKNOWN_JOB", "UNKNOWN_CODEC", ...problems.moving],
    answer: jobInfo,
    handle: (keystead, { params, body }) => keystead.backgroundJobs.start(params.dataset, order(params, body)),
  });
}

/** Datasets, what is in them, and the jobs that move it. */
export const datasetRoutes = {
  "GET /v1/datasets": jsonRoute({
    ...usual,
    summary: "Every dataset, by name.",
    tag: "datasets",
    action: "datasets.list",
    idempotent: true,
    answer: z.strictObject({ datasets: list(datasetInfo) }),
    handle: async (keystead) => ({ datasets: await keystead.datasets.list() }),
  }),
  "POST /v1/datasets": jsonRoute({
    ...usual,
    summary: "Register a table of a database that the local configuration names. Nothing in it is changed.",
    tag: "datasets",
    action: "datasets.add",
    status: 201,
    problems: problems.registering,
    body: datasetInput.extend({ name: datasetText }),
    answer: addedDataset,
    handle: (keystead, { body: { name, ...input } }) => keystead.datasets.add(name, input),
  }),
  "GET /v1/datasets/:dataset": jsonRoute({
    ...usual,
    summary: "A dataset with the generations of its indexes.",
    tag: "datasets",
    action: "datasets.show",
    idempotent: true,
    tagged: true,
    problems: ["UNKNOWN_DATASET"],
    params: datasetParams,
    answer: datasetInfo,
    handle: (keystead, { params }) => keystead.datasets.show(params.dataset),
  }),
  "POST /v1/datasets/:dataset/indexes": jsonRoute({
    ...usual,
    summary: "Add a blind index; searches are refused until it is filled.",
    tag: "datasets",
    action: "datasets.add-index",
    status: 201,
    problems: problems.registering,
    params: datasetParams,
    body: indexInput.extend({ name: datasetText }),
    answer: addedDataset,
    handle: (keystead, { params, body: { name, ...input } }) => keystead.datasets.addIndex(params.dataset, name, input),
  }),
  "POST /v1/datasets/:dataset/indexes/:index/generations": jsonRoute({
    ...usual,
    summary: "Start another generation of a blind index, in a column of its own.",
    tag: "datasets",
    action: "datasets.start-generation",
    status: 201,
    problems: problems.registering,
    params: indexParams,
    body: generationInput,
    answer: addedDataset,
    handle: (keystead, { params, body }) => keystead.datasets.startGeneration(params.dataset, params.index, body),
  }),
  "DELETE /v1/datasets/:dataset/indexes/:index/generations/:generation": jsonRoute({
    ...usual,
    summary: "Drop a generation: it is neither searched nor written any more.",
    tag: "datasets",
    action: "datasets.drop-generation",
    problems: problems.registering,
    params: generationParams,
    answer: datasetInfo,
    handle: (keystead, { params }) => keystead.datasets.dropGeneration(params.dataset, params.index, params.generation),
  }),
  "POST /v1/datasets/:dataset/plan-index": jsonRoute({
    ...usual,
    summary: "Count how often indexed values occur, and advise how many bits of a token to keep.",
    tag: "datasets",
    action: "datasets.plan-index",
    idempotent: true,
    problems: problems.searching,
    params: datasetParams,
    body: z.strictObject({
      columns: list(z.string().min(1).max(128)),
      kind: z.string().min(1).max(32),
      normalisers: list(z.string().min(1).max(64)),
    }),
    answer: indexPlan,
    handle: (keystead, { params, body }) => keystead.datasets.planIndex(params.dataset, body),
  }),
  "POST /v1/datasets/:dataset/census": jsonRoute({
    ...usual,
    summary: "Count everything in a dataset, without opening anything.",
    tag: "datasets",
    action: "datasets.census",
    idempotent: true,
    problems: problems.rows,
    params: datasetParams,
    answer: census,
    handle: (keystead, { params }, { signal }) => keystead.datasets.takeCensus(params.dataset, signal),
  }),
  "POST /v1/datasets/:dataset/find": jsonRoute({
    ...usual,
    summary: "Search a blind index: the rows found are opened and compared.",
    tag: "datasets",
    action: "datasets.find",
    idempotent: true,
    problems: problems.searching,
    params: datasetParams,
    body: z.strictObject({
      index: datasetText,
      values: search,
      limit: z.exactOptional(z.int().min(1).max(10_000)),
    }),
    answer: findResult,
    handle: async (keystead, { params, body: { index, values, limit } }, { signal }) => {
      const options = { signal, ...(limit !== undefined && { limit }) };
      const { rows, ...found } = await keystead.datasets.find(params.dataset, index, values, options);
      return { ...found, rows: rows.map(({ values: opened, ...row }) => ({ ...row, values: typedValues(opened) })) };
    },
  }),
  "POST /v1/datasets/:dataset/protect": jobRoute({
    summary: "Start sealing every plaintext value.",
    action: "datasets.protect",
    params: datasetParams,
    body: jobOptions,
    order: (_, options) => ({ kind: "protect", options }),
  }),
  "POST /v1/datasets/:dataset/reencrypt": jobRoute({
    summary: "Start moving every value to the current version of its key; with `from` also what another system encrypted.",
    action: "datasets.reencrypt",
    otherActions: ["datasets.import"],
    params: datasetParams,
    body: jobOptions.extend({
      from: z.exactOptional(z.string().min(1).max(128)),
      columns: z.exactOptional(z.array(z.string().min(1).max(128)).max(1000)),
      leaveUnopened: z.exactOptional(z.boolean()),
    }),
    order: (_, options) => ({ kind: "reencrypt", options }),
  }),
  "POST /v1/datasets/:dataset/recontext": jobRoute({
    summary: "Start moving every value to another context template, or go on with that.",
    action: "datasets.recontext",
    otherActions: ["datasets.set-context"],
    params: datasetParams,
    body: jobOptions.extend({
      context: z.exactOptional(z.record(z.string().min(1).max(255), z.string().max(1024))),
      contextTypes: z.exactOptional(z.record(z.string(), z.enum(canonicalTypes))),
      leaveUnopened: z.exactOptional(z.boolean()),
    }),
    order: (_, { context, ...options }) => ({ kind: "recontext", options, ...(context !== undefined && { context }) }),
  }),
  "POST /v1/datasets/:dataset/verify": jobRoute({
    summary: "Start opening every value, to report those that don't open.",
    action: "datasets.verify",
    params: datasetParams,
    body: jobOptions,
    order: (_, options) => ({ kind: "verify", options }),
  }),
  "POST /v1/datasets/:dataset/index": jobRoute({
    summary: "Start making every row's tokens anew where they are missing or wrong.",
    action: "datasets.index",
    params: datasetParams,
    body: jobOptions,
    order: (_, options) => ({ kind: "index", options }),
  }),
  "POST /v1/datasets/:dataset/unprotect": jobRoute({
    summary: "Start writing every value back as plaintext.",
    action: "datasets.unprotect",
    params: datasetParams,
    body: jobOptions,
    order: (_, options) => ({ kind: "unprotect", options }),
  }),
  "POST /v1/datasets/:dataset/indexes/:index/generations/:generation/cut-over": jobRoute({
    summary: "Look at every row, then search by this generation.",
    action: "datasets.cut-over",
    params: generationParams,
    body: jobOptions,
    order: ({ index, generation }, options) => ({ kind: "cut-over", index, generation, options }),
  }),
  "POST /v1/datasets/:dataset/columns/:column/cut-over": jobRoute({
    summary: "Look at every row, then let the ciphertext of a column count in place of the plaintext beside it.",
    action: "datasets.cut-over-column",
    params: columnParams,
    body: jobOptions,
    order: ({ column }, options) => ({ kind: "cut-over-column", column, options }),
  }),
  "POST /v1/datasets/:dataset/columns/:column/erase": jobRoute({
    summary: "Start erasing the plaintext beside a column's ciphertext.",
    action: "datasets.erase-column",
    params: columnParams,
    body: jobOptions,
    order: ({ column }, options) => ({ kind: "erase-column", column, options }),
  }),

  "GET /v1/jobs": jsonRoute({
    ...usual,
    summary: "Every job that the store remembers, the newest first.",
    tag: "jobs",
    action: "jobs.list",
    idempotent: true,
    answer: z.strictObject({ jobs: list(jobInfo) }),
    handle: async (keystead) => ({ jobs: await keystead.jobs.list() }),
  }),
  "GET /v1/datasets/:dataset/job": jsonRoute({
    ...usual,
    summary: "The newest job on a dataset.",
    tag: "jobs",
    action: "jobs.show",
    idempotent: true,
    problems: ["UNKNOWN_DATASET", "UNKNOWN_JOB"],
    params: datasetParams,
    answer: jobInfo,
    handle: (keystead, { params }) => keystead.jobs.show(params.dataset),
  }),
  "POST /v1/datasets/:dataset/job/pause": jsonRoute({
    ...usual,
    summary: "Tell all workers of the newest job to stop after the rows at hand. A dry run ends for good: it is `cancelled`.",
    tag: "jobs",
    action: "jobs.pause",
    problems: ["UNKNOWN_DATASET", "UNKNOWN_JOB", "CONFLICT"],
    params: datasetParams,
    answer: jobInfo,
    handle: (keystead, { params }) => keystead.jobs.pause(params.dataset),
  }),
  "POST /v1/datasets/:dataset/job/cancel": jsonRoute({
    ...usual,
    summary: "End the newest job for good; what it did stays.",
    tag: "jobs",
    action: "jobs.cancel",
    problems: ["UNKNOWN_DATASET", "UNKNOWN_JOB", "CONFLICT"],
    params: datasetParams,
    answer: jobInfo,
    handle: (keystead, { params }) => keystead.jobs.cancel(params.dataset),
  }),
  "POST /v1/datasets/:dataset/job/resume": jobRoute({
    summary: "Go on with the newest job, or join its workers.",
    action: "jobs.resume",
    params: datasetParams,
    body: z.strictObject({ ...pace, job: z.exactOptional(z.string().min(1).max(64)) }),
    order: (_, options) => ({ kind: "resume", options }),
  }),
  "GET /v1/datasets/:dataset/job/events": eventRoute({
    ...usual,
    summary: "The newest job's progress as it goes on, until it ends.",
    tag: "jobs",
    action: "jobs.show",
    idempotent: true,
    problems: ["UNKNOWN_JOB", "UNKNOWN_CODEC", ...problems.moving],
    params: datasetParams,
    answer: z.strictObject({ job: jobInfo, result: z.exactOptional(jobResult) }),
    handle: (keystead, { params }, { signal }) => keystead.backgroundJobs.watch(params.dataset, signal),
  }),
} as const;

function typedValues(
  values: Readonly<Record<string, Parameters<typeof toTypedJson>[0] | null>>,
): Record<string, ReturnType<typeof toTypedJson> | null> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value === null ? null : toTypedJson(value)]));
}
