import { maxContextPairs } from "../crypto/limits.ts";
import type { AuditRecord } from "./record.ts";

/** Longest texts of a record in UTF-16 units, and most entries of its lists. */
export const limits = {
  store: 64,
  name: 255,
  action: 64,
  source: 32,
  actingFor: 511,
  request: 128,
  address: 64,
  version: 32,
  purpose: 64,
  pairs: maxContextPairs,
  value: 4096,
  items: 1000,
  reason: 1024,
  code: 64,
  details: 64,
} as const;

export const uuidPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
export const actionPattern = /^[a-z][A-Za-z0-9-]*(?:\.[a-z][A-Za-z0-9-]*)+$/;
export const detailNamePattern = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
export const itemPattern = /^[A-Za-z0-9_-]{0,43}(?:![A-Z0-9_]{1,64})?$/;

export const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** What is written of times from the year 0 to 9999. */
const timeLength = "9999-12-31T23:59:59.999Z".length;
const idLength = "00000000-0000-4000-8000-000000000000".length;

/** Place and time of a record, as its line says them. */
export interface RecordHead {
  readonly sequence: number;
  readonly previous: string;
  readonly time: string;
  readonly id: string;
}

type Check = (value: unknown) => boolean;

function text(max: number, min = 1): Check {
  return (value) => typeof value === "string" && value.length >= min && value.length <= max && value.isWellFormed();
}

/** True for an object that is nothing but its own members. */
function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** An object of these members; those that are not `required` may be absent. */
function members(checks: Readonly<Record<string, Check>>, required: readonly string[]): Check {
  const known = new Map(Object.entries(checks));
  return (value) => {
    if (!isPlain(value)) return false;
    for (const name in value) if (known.get(name)?.(value[name]) !== true) return false;
    return required.every((name) => Object.hasOwn(value, name));
  };
}

function entries(name: Check, entry: Check, most: number): Check {
  return (value) => {
    if (!isPlain(value)) return false;
    let count = 0;
    for (const key in value) if (++count > most || !name(key) || !entry(value[key])) return false;
    return Object.getOwnPropertySymbols(value).length === 0;
  };
}

function matches(pattern: RegExp, max = Number.POSITIVE_INFINITY): Check {
  return (value) => typeof value === "string" && value.length <= max && pattern.test(value);
}

const isValue = text(limits.value, 0);
const isContextName = text(limits.name);

/** True for a pair of a context that a record can hold. */
export function isContextPair(name: string, value: string): boolean {
  return isContextName(name) && isValue(value);
}

const isDetailValue: Check = (value) =>
  value === null || typeof value === "boolean" || (typeof value === "number" ? Number.isFinite(value) : isValue(value));

const isItem = matches(itemPattern);

function isItems(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > limits.items) return false;
  // Not by every(): it passes over holes.
  for (const item of value) if (!isItem(item)) return false;
  return true;
}

const bodyChecks: Readonly<Record<string, Check>> = {
  action: matches(actionPattern, limits.action),
  outcome: (value) => value === "allowed" || value === "denied" || value === "failed",
  principal: members({ source: text(limits.source), id: text(limits.name), name: text(limits.name), actingFor: text(limits.actingFor) }, [
    "source",
    "id",
  ]),
  request: members({ id: text(limits.request), address: text(limits.address) }, ["id"]),
  key: text(limits.name),
  version: text(limits.version),
  dataset: text(limits.name),
  purpose: text(limits.purpose),
  context: entries(isContextName, isValue, limits.pairs),
  items: isItems,
  reason: text(limits.reason),
  code: text(limits.code),
  detail: entries(matches(detailNamePattern), isDetailValue, limits.details),
};

const isBody = members(bodyChecks, ["action", "outcome", "principal"]);

/** True when a record can hold what an event says. False may be too strict: the schema decides then. */
export function isPlainBody(body: object): boolean {
  return isBody(body);
}

/** As {@link isPlainBody}, for place and time, which the writer makes itself: of texts only the length is looked at. */
export function isPlainHead({ sequence, previous, time, id }: RecordHead): boolean {
  return Number.isSafeInteger(sequence) && sequence >= 1 && previous.length === 64 && time.length === timeLength && id.length === idLength;
}

const originChecks: Readonly<Record<string, Check>> = {
  store: text(limits.store),
  writer: matches(uuidPattern),
  process: (value) => Number.isSafeInteger(value) && Number(value) >= 0,
  host: text(limits.name),
};

const isOrigin = members(originChecks, Object.keys(originChecks));

/** As {@link isPlainBody}, for where a record is written. */
export function isPlainOrigin(origin: object): boolean {
  return isOrigin(origin);
}

const headChecks: Readonly<Record<string, Check>> = {
  sequence: (value) => Number.isSafeInteger(value) && Number(value) >= 1,
  previous: matches(/^[0-9a-f]{64}$/),
  time: matches(timePattern),
  id: matches(uuidPattern),
};

const isRecord = members({ ...headChecks, ...originChecks, ...bodyChecks }, [
  ...Object.keys(headChecks),
  ...Object.keys(originChecks),
  ...["action", "outcome", "principal"],
]);

/** As {@link isPlainBody}, for what a whole line says. */
export function isPlainRecord(value: unknown): value is AuditRecord {
  return isRecord(value);
}
