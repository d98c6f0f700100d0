import { anything, flag, having, listOf, number, object, optional, recordOf, rule, type Shape, text } from "../arguments.ts";
import type { TokensItem } from "./audited-search.ts";
import type { FindOptions } from "./find-rows.ts";
import type { RecontextOptions, ReencryptOptions } from "./job-options.ts";
import { jobShape } from "./job-service.ts";
import type { PlannedIndex } from "./plan-index.ts";

const name = text;
const signal = optional(having("an AbortSignal", "addEventListener", "throwIfAborted"));
const recontextShape: Shape<RecontextOptions> = { ...jobShape, contextTypes: optional(recordOf(text)), leaveUnopened: optional(flag) };
const reencryptShape: Shape<ReencryptOptions> = {
  ...jobShape,
  from: optional(text),
  columns: optional(listOf(text)),
  leaveUnopened: optional(flag),
};
const searched = rule("text or a number", (value) => ["string", "number", "bigint"].includes(typeof value));
/** What the methods of `DatasetService` take. */
export const datasetArguments = {
  name: { name },
  add: { name, input: recordOf(anything) },
  addIndex: { name, index: text, input: recordOf(anything) },
  cutOver: { name, index: text, generation: number, options: optional(object(jobShape)) },
  dropGeneration: { name, index: text, generation: number },
  run: { name, options: optional(object(jobShape)) },
  column: { name, column: text, options: optional(object(jobShape)) },
  reencrypt: { name, options: object(reencryptShape) },
  recontext: { name, template: optional(recordOf(text)), options: optional(object(recontextShape)) },
  takeCensus: { name, signal },
  census: { nameOrAlias: text },
  find: { name, index: text, search: listOf(searched), options: object<FindOptions>({ limit: optional(number), signal }) },
  tokensMany: { items: listOf(object<TokensItem>({ dataset: name, index: text, values: listOf(searched) })) },
  tokens: { name, index: text, search: listOf(searched) },
  planIndex: { name, index: object<PlannedIndex>({ columns: listOf(text), kind: text, normalisers: listOf(text) }) },
} as const;
