/** How the values of several workers become one. */
export type Adding = "sum" | "max" | "min";

/** What a metric is. */
export interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  /** One sentence. */
  readonly help: string;
  readonly labels: readonly LabelName[];
  /** Of several workers; counters and histograms are always added. */
  readonly adding?: Adding;
  /** Upper bounds of a histogram's buckets, in seconds. */
  readonly buckets?: readonly number[];
}

/** Labels of metrics, and what values they have. */
export const labels = {
  action: "an action of Keystead (`data.encrypt`), or `other`",
  outcome: "`allowed`, `denied`, `failed`",
  operation: "`open`, `wrap`, `unwrap`, `close`",
  result: "`done`, `failed`",
  method: "`GET`, `POST`, `PUT`, `PATCH`, `DELETE`, `HEAD`, `other`",
  route: "the path of a row in the route table, or `none`",
  status: "`1xx` to `5xx`",
  cache: "`handles`, `decisions`, `oidc-tokens`",
  lookup: "`hit`, `miss`",
  kind: "a kind of job (`reencrypt`), or `other`",
  source: "`sqlite`, `postgres`, `other`",
  rows: "`read`, `replaced`, `changed`, `problem`",
  check: "what `/readyz` looks at: `store`, `KEKs`, `audit`, `access`, `changes`, `TLS`, `server`, or `other`",
  key: "the name of a key, with the setting `metrics.names`; else absent",
  version: "the version of Keystead",
} as const;

/** Name of a label. */
export type LabelName = keyof typeof labels;

const actBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5] as const;
const requestBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10] as const;
const kekBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** Every metric of Keystead's own. Docs, dashboard and alerts are held to this table. */
export const metricDefinitions = {
  keystead_info: { type: "gauge", help: "1, with the version that runs.", labels: ["version"], adding: "max" },
  keystead_workers: { type: "gauge", help: "Processes whose numbers are in this answer.", labels: [], adding: "sum" },
  keystead_ready: { type: "gauge", help: "1 while what a check of /readyz looks at is as it must be.", labels: ["check"], adding: "min" },
  keystead_http_request_duration_seconds: {
    type: "histogram",
    help: "Requests and how long their answers took, streams to their end.",
    labels: ["method", "route", "status"],
    buckets: requestBuckets,
  },
  keystead_http_requests_in_flight: { type: "gauge", help: "Requests under way.", labels: [], adding: "sum" },
  keystead_operations_total: {
    type: "counter",
    help: "Acts of the engine, a batch as one: what the audit has records of.",
    labels: ["action", "outcome"],
  },
  keystead_operation_duration_seconds: {
    type: "histogram",
    help: "How long acts took, the writing of their audit record included.",
    labels: ["action"],
    buckets: actBuckets,
  },
  keystead_batch_items_total: { type: "counter", help: "Items of batches.", labels: ["action", "outcome"] },
  keystead_kek_calls_total: { type: "counter", help: "Calls to providers of KEKs.", labels: ["operation", "result"] },
  keystead_kek_call_duration_seconds: {
    type: "histogram",
    help: "How long calls to providers of KEKs took, retries included.",
    labels: ["operation"],
    buckets: kekBuckets,
  },
  keystead_cache_lookups_total: { type: "counter", help: "Lookups in caches.", labels: ["cache", "lookup"] },
  keystead_job_rows_total: { type: "counter", help: "Rows that jobs of this process went through.", labels: ["kind", "source", "rows"] },
  keystead_audit_lag_records: {
    type: "gauge",
    help: "Audit records that are durable on this host and not in the store yet.",
    labels: [],
    adding: "sum",
  },
  keystead_keys: { type: "gauge", help: "Keys in the store, the audit's own included.", labels: [], adding: "max" },
  keystead_key_age_days: { type: "gauge", help: "Days since the current version was made: of the oldest.", labels: ["key"], adding: "max" },
  keystead_key_rotation_days: {
    type: "gauge",
    help: "Days until the rotation policy asks for the next version: the fewest. Negative when it is overdue.",
    labels: ["key"],
    adding: "min",
  },
  keystead_keys_rotation_due: { type: "gauge", help: "Keys whose rotation is due.", labels: [], adding: "max" },
  keystead_key_messages_left: {
    type: "gauge",
    help: "Messages that the current version of a key with a limit (AES-256-GCM, ChaCha20-Poly1305) may still seal: the fewest.",
    labels: ["key"],
    adding: "min",
  },
  keystead_key_budget_left_ratio: {
    type: "gauge",
    help: "The same as a share of its limit, 0 to 1: the smallest.",
    labels: ["key"],
    adding: "min",
  },
  keystead_versions_pending_destruction: { type: "gauge", help: "Versions that wait for destruction.", labels: [], adding: "max" },
  keystead_destruction_pending_refusals: {
    type: "gauge",
    help: "Attempts to open what such versions sealed, where somebody tried since they wait.",
    labels: ["key"],
    adding: "max",
  },
  keystead_key_facts_age_seconds: {
    type: "gauge",
    help: "How old the numbers about keys are. They are read again after 10 s at the earliest.",
    labels: [],
    adding: "max",
  },
  keystead_keys_left_out: { type: "gauge", help: "Keys beyond the first 10,000, which are not looked at.", labels: [], adding: "max" },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** Name of a metric of Keystead's own. */
export type MetricName = keyof typeof metricDefinitions;
