import { isErrorCode, KeysteadError } from "../errors.ts";

/** An item that failed, as a server tells it. */
interface ProblemItem {
  readonly problem: { readonly code: string; readonly detail: string };
}

/** The answer to one item, which is never a list. */
export function single<A extends object>(answer: A): Exclude<A, { readonly items: unknown }>;
export function single(answer: object): object {
  if ("items" in answer) throw mixedReleases();
  return answer;
}

type ItemsOf<A> = A extends { readonly items: readonly (infer I)[] } ? readonly I[] : never;

/** The answers to many items. */
export function many<A extends object>(answer: A): ItemsOf<A>;
export function many(answer: object): unknown {
  if (!("items" in answer)) throw mixedReleases();
  return answer.items;
}

/** Maps the answers of a batch; a problem becomes an error. */
export function each<I extends object, A>(
  items: readonly I[],
  map: (item: Exclude<I, ProblemItem>) => A,
): (A | { readonly problem: KeysteadError })[];
export function each(items: readonly object[], map: (item: object) => unknown): unknown[] {
  return items.map((item) => one(item, map));
}

/** Maps the answer to one item of many; a problem becomes an error. */
export function one<I extends object, A>(item: I, map: (item: Exclude<I, ProblemItem>) => A): A | { readonly problem: KeysteadError };
export function one(item: object, map: (item: object) => unknown): unknown {
  return isProblemItem(item) ? { problem: errorOf(item) } : map(item);
}

function isProblemItem(item: object): item is ProblemItem {
  return "problem" in item;
}

function errorOf({ problem: { code, detail } }: ProblemItem): KeysteadError {
  return new KeysteadError(isErrorCode(code) ? code : "INTERNAL", detail);
}

/** What to say of an answer that no table of this version describes. */
export function mixedReleases(): KeysteadError {
  return new KeysteadError("INTERNAL", "the server's answer is not what this version expects; are both of one release?");
}
