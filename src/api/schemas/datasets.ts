import { z } from "zod";
import { errorCodes } from "../../errors.ts";
import { canonicalTypes } from "../../fields/canonical-text.ts";
import { typedValue } from "../value-json.ts";
import { list, texts } from "./common.ts";

const contextTypes = z.record(z.string(), z.enum(canonicalTypes)).readonly();
const errorCode = z
  .enum(Object.keys(errorCodes).filter((code): code is keyof typeof errorCodes => code in errorCodes))
  .meta({ id: "ErrorCode" });

const column = z
  .strictObject({
    name: z.string(),
    column: z.string(),
    key: z.string(),
    kind: z.enum(["typed", "value"]),
    plaintext: z
      .strictObject({ column: z.string(), use: z.enum(["read", "written", "none", "erased"]) })
      .readonly()
      .optional(),
  })
  .readonly();

const generation = z.strictObject({
  index: z.string(),
  generation: z.int(),
  state: z.enum(["building", "live", "leaving", "retired"]),
  searched: z.boolean(),
  column: z.string(),
  kind: z.string(),
  normaliser: z.string(),
  bits: z.int(),
  keyVersion: z.int(),
  drift: list(z.string()),
});

/** A registered dataset. */
export const datasetInfo = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    database: z.string(),
    table: z.string(),
    keyColumns: list(z.string()),
    columns: list(column),
    context: texts,
    contextTypes,
    nextContext: z.exactOptional(texts),
    nextContextTypes: z.exactOptional(contextTypes),
    formerContexts: list(z.strictObject({ context: texts, contextTypes }).readonly()),
    indexes: list(generation),
    createdAt: z.string(),
  })
  .meta({ id: "Dataset" });

/** A dataset that was just registered or changed, with what that found out. */
export const addedDataset = datasetInfo.extend({ rows: z.int(), advice: list(z.string()) }).meta({ id: "AddedDataset" });

const versionCount = z.strictObject({
  key: z.string(),
  version: z.string(),
  count: z.int(),
  standing: z.enum(["current", "old", "unknown", "destroyed"]),
});

/** A count of everything in a dataset. */
export const census = z
  .strictObject({
    dataset: z.string(),
    takenAt: z.string(),
    columns: list(z.strictObject({ column: z.string(), nulls: z.int(), plaintext: z.int(), versions: list(versionCount) }).readonly()),
    indexes: list(
      z.strictObject({
        index: z.string(),
        column: z.string(),
        generations: z.record(z.string(), z.int()).readonly(),
        none: z.int(),
        malformed: z.int(),
      }),
    ),
  })
  .meta({ id: "Census" });

const rowProblem = z
  .strictObject({ row: texts, column: z.string(), code: errorCode, message: z.string() })
  .readonly()
  .meta({ id: "RowProblem" });

/** What a search found. */
export const findResult = z
  .strictObject({
    rows: list(
      z.strictObject({ row: texts, values: z.record(z.string(), typedValue.nullable()), unopened: z.record(z.string(), errorCode) }),
    ),
    complete: z.boolean(),
    more: z.boolean(),
    unopenedRows: z.int(),
    firstUnopened: list(rowProblem),
  })
  .meta({ id: "FindResult" });

const progress = z
  .strictObject({
    pass: z.int(),
    scanned: z.int(),
    total: z.int(),
    replaced: z.int(),
    values: z.int(),
    changed: z.int(),
    problems: z.int(),
    tokenProblems: z.int(),
    unopened: z.int(),
    firstProblems: list(rowProblem),
  })
  .readonly()
  .meta({ id: "JobProgress" });

const jobKind = z.enum(["protect", "reencrypt", "import", "recontext", "unprotect", "index", "verify", "erase"]);

/** A job as it stands in the store. */
export const jobInfo = z
  .strictObject({
    id: z.string(),
    dataset: z.string(),
    kind: jobKind,
    state: z.enum(["running", "paused", "failed", "done", "cancelled"]),
    dryRun: z.boolean(),
    progress,
    restMilliseconds: z.exactOptional(z.number()),
    rowsPerSecond: z.exactOptional(z.int()),
    latencyGuard: z.exactOptional(z.number()),
    problemLimit: z.exactOptional(z.int()),
    workers: list(z.strictObject({ host: z.string(), process: z.int() })),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .meta({ id: "Job" });

/** How a job ended. */
export const jobResult = z
  .strictObject({
    id: z.string(),
    dataset: z.string(),
    kind: jobKind,
    state: z.enum(["done", "incomplete", "paused", "failed", "cancelled"]),
    dryRun: z.boolean(),
    progress,
    census: z.exactOptional(census),
    remains: z.exactOptional(list(z.string())),
  })
  .meta({ id: "JobResult" });

const indexChoice = z.strictObject({
  bits: z.int(),
  falsePositives: z.number(),
  otherValues: z.number(),
  largestBucket: z.number(),
  exposedValues: z.number(),
  exposedRows: z.number(),
});

const indexWarning = z.strictObject({
  code: z.enum(["nothing-to-index", "few-values", "frequent-values", "many-false-positives", "estimated"]),
  message: z.string(),
});

/** What the planner of blind indexes advises. */
export const indexPlan = z
  .strictObject({
    rows: z.int(),
    indexedRows: z.int(),
    distinctValues: z.int(),
    entropyBits: z.number(),
    minEntropyBits: z.number(),
    largestValueRows: z.int(),
    exact: z.boolean(),
    recommended: indexChoice,
    choices: list(indexChoice),
    warnings: list(indexWarning),
  })
  .meta({ id: "IndexPlan" });
