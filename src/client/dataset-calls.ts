import type { KeysteadApi } from "../api/keystead-api.ts";
import { fromTypedJson } from "../crypto/typed-json.ts";
import { batch } from "./batch.ts";
import { each, many, single } from "./batch-answers.ts";
import { dataItems, searchable } from "./data-items.ts";
import type { HttpCalls } from "./http-calls.ts";
import { jobFollower } from "./follow-job.ts";

type Datasets = KeysteadApi["datasets"];

/** Datasets, what is in them, and the jobs that move it. */
export function datasetCalls(http: HttpCalls): Pick<KeysteadApi, "datasets" | "jobs" | "backgroundJobs"> {
  const follow = jobFollower(http, starter);
  const datasets: Datasets = {
    add: (name, input) => http.call("POST /v1/datasets", { body: { name, ...input } }, false),
    addIndex: (dataset, name, input) =>
      http.call("POST /v1/datasets/:dataset/indexes", { params: { dataset }, body: { name, ...input } }, false),
    startGeneration: (dataset, index, input) =>
      http.call("POST /v1/datasets/:dataset/indexes/:index/generations", { params: { dataset, index }, body: input }, false),
    dropGeneration: (dataset, index, generation) =>
      http.call("DELETE /v1/datasets/:dataset/indexes/:index/generations/:generation", { params: { dataset, index, generation } }, false),
    list: async () => [...(await http.call("GET /v1/datasets", {}, true)).datasets],
    show: (dataset) => http.call("GET /v1/datasets/:dataset", { params: { dataset } }, true),
    planIndex: (dataset, index) => http.call("POST /v1/datasets/:dataset/plan-index", { params: { dataset }, body: index }, true),
    takeCensus: (dataset, signal) => http.call("POST /v1/datasets/:dataset/census", { params: { dataset } }, true, { signal }),
    census: async (key) => [...(await http.call("GET /v1/keys/:key/census", { params: { key } }, true)).versions],
    find: async (dataset, index, search, { limit, signal } = {}) => {
      const body = { index, values: search.map(searchable), ...(limit !== undefined && { limit }) };
      const { rows, ...found } = await http.call("POST /v1/datasets/:dataset/find", { params: { dataset }, body }, true, { signal });
      return { rows: rows.map(({ row, values, ...more }) => ({ row, values: opened(values), ...more })), ...found };
    },
    tokens: async (dataset, index, search) =>
      single(await http.call("POST /v1/index", { body: { dataset, index, values: search.map(searchable) } }, true)).tokens,
    tokensMany: (items) =>
      batch(items, dataItems.tokens.sent, async (sent) =>
        each(many(await http.call("POST /v1/index", { body: { items: sent } }, true)), dataItems.tokens.got),
      ),
    protect: (dataset, options) => follow(dataset, options, (apart) => ({ kind: "protect", options: apart })),
    reencrypt: (dataset, options) => follow(dataset, options, (apart) => ({ kind: "reencrypt", options: apart })),
    verify: (dataset, options) => follow(dataset, options, (apart) => ({ kind: "verify", options: apart })),
    index: (dataset, options) => follow(dataset, options, (apart) => ({ kind: "index", options: apart })),
    unprotect: (dataset, options) => follow(dataset, options, (apart) => ({ kind: "unprotect", options: apart })),
    recontext: (dataset, context, options) =>
      follow(dataset, options, (apart) => ({ kind: "recontext", options: apart, ...(context !== undefined && { context }) })),
    cutOver: (dataset, index, generation, options) =>
      follow(dataset, options, (apart) => ({ kind: "cut-over", index, generation, options: apart })),
    cutOverColumn: (dataset, column, options) => follow(dataset, options, (apart) => ({ kind: "cut-over-column", column, options: apart })),
    eraseColumn: (dataset, column, options) =>
      follow(dataset, options, (apart) => ({ kind: "erase-column", column, options: apart }), "erase"),
  };
  return {
    datasets,
    jobs: {
      list: async () => [...(await http.call("GET /v1/jobs", {}, true)).jobs],
      show: (dataset) => http.call("GET /v1/datasets/:dataset/job", { params: { dataset } }, true),
      pause: (dataset) => http.call("POST /v1/datasets/:dataset/job/pause", { params: { dataset } }, false),
      cancel: (dataset) => http.call("POST /v1/datasets/:dataset/job/cancel", { params: { dataset } }, false),
      resume: (dataset, options) => follow(dataset, options, (apart) => ({ kind: "resume", options: apart })),
    },
    backgroundJobs: {
      start: starter(http),
      watch: (dataset, signal) => http.events("GET /v1/datasets/:dataset/job/events", { params: { dataset } }, signal),
    },
  };
}

/** Starts a job by the route of its kind. */
function starter(http: HttpCalls): KeysteadApi["backgroundJobs"]["start"] {
  return async (dataset, order) => {
    const params = { dataset };
    switch (order.kind) {
      case "protect":
      case "verify":
      case "index":
      case "unprotect":
        return http.call(`POST /v1/datasets/:dataset/${order.kind}`, { params, body: order.options ?? {} }, false);
      case "reencrypt": {
        const { columns, ...options } = { columns: undefined, ...order.options };
        const body = { ...options, ...(columns !== undefined && { columns: [...columns] }) };
        return http.call("POST /v1/datasets/:dataset/reencrypt", { params, body }, false);
      }
      case "recontext": {
        const { contextTypes, ...options } = { contextTypes: undefined, ...order.options };
        const body = {
          ...options,
          ...(order.context !== undefined && { context: { ...order.context } }),
          ...(contextTypes !== undefined && { contextTypes: { ...contextTypes } }),
        };
        return http.call("POST /v1/datasets/:dataset/recontext", { params, body }, false);
      }
      case "cut-over": {
        const { index, generation, options = {} } = order;
        const address = { dataset, index, generation };
        return http.call(
          "POST /v1/datasets/:dataset/indexes/:index/generations/:generation/cut-over",
          { params: address, body: options },
          false,
        );
      }
      case "cut-over-column":
        return http.call(
          "POST /v1/datasets/:dataset/columns/:column/cut-over",
          { params: { dataset, column: order.column }, body: order.options ?? {} },
          false,
        );
      case "erase-column":
        return http.call(
          "POST /v1/datasets/:dataset/columns/:column/erase",
          { params: { dataset, column: order.column }, body: order.options ?? {} },
          false,
        );
      case "resume":
        return http.call("POST /v1/datasets/:dataset/job/resume", { params, body: order.options ?? {} }, false);
    }
  };
}

type Row = Awaited<ReturnType<Datasets["find"]>>["rows"][number];

function opened(values: Readonly<Record<string, Parameters<typeof fromTypedJson>[0] | null>>): Row["values"] {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value === null ? null : fromTypedJson(value)]));
}
