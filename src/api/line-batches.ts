import type { KeysteadError } from "../errors.ts";
import type { RouteCall, RouteLine } from "./route.ts";

/** Lines of a batch, at most; and milliseconds after which one that has begun waits no longer for the next line. */
const bounds = { lines: 500, pause: 10, weight: 1024 * 1024 } as const;

/** Many lines as batches: the lines at hand, up to a bound, and never one that waits for a client that thinks. */
export interface Batching<T> {
  /** Of a line that is taken; a batch has 1 MiB of it, or one line. Absent: its bytes. */
  readonly weigh?: (value: T) => number;
}

/** What came next: a line, the end, or a failure that counts once what came before it is answered. */
type Next<T> = { readonly line: RouteLine<T> } | { readonly end: true } | { readonly error: unknown };

/** Puts lines into batches. @throws what reading them throws, behind the last batch */
export async function* lineBatches<T>(lines: AsyncIterable<RouteLine<T>>, { weigh }: Batching<T> = {}): AsyncGenerator<RouteLine<T>[]> {
  const source = lines[Symbol.asyncIterator]();
  const read = (): Promise<Next<T>> =>
    source.next().then(
      (next): Next<T> => (next.done === true ? { end: true } : { line: next.value }),
      (error: unknown) => ({ error }),
    );
  const weightOf = (line: RouteLine<T>): number => (line.problem === undefined && weigh !== undefined ? weigh(line.value) : line.length);
  let next = read();
  try {
    for (;;) {
      let got: Next<T> | undefined = await next;
      const batch: RouteLine<T>[] = [];
      for (let weight = 0; got !== undefined && "line" in got; got = await within(next, bounds.pause)) {
        weight += weightOf(got.line);
        if (batch.length > 0 && weight > bounds.weight) break;
        batch.push(got.line);
        next = read();
        if (batch.length === bounds.lines) break;
      }
      if (batch.length > 0) yield batch;
      else if (got !== undefined && "error" in got) throw got.error;
      else if (got !== undefined && "end" in got) return;
    }
  } finally {
    // A line that is being read can't be given back: its end is not waited for.
    source.return?.().catch(() => undefined);
  }
}

/**
 * Answers lines batch by batch, in order: what a batch gives, or why a line can't be taken, once that is recorded. Before each batch it is
 * found out again who asks.
 * @param many what answers the lines of a batch, one for one
 */
export async function* answerLines<T, A, P>(
  lines: AsyncIterable<RouteLine<T>>,
  call: Pick<RouteCall, "reauthenticate" | "recordRefused">,
  many: (items: T[]) => Promise<readonly A[]>,
  problemOf: (problem: KeysteadError) => P,
  batching?: Batching<T>,
): AsyncGenerator<A | P> {
  for await (const batch of lineBatches(lines, batching)) {
    const known = call.reauthenticate();
    if (known !== undefined) await known;
    const good = batch.flatMap((line) => (line.problem === undefined ? [line.value] : []));
    const refused = batch.flatMap(({ problem }) => (problem === undefined ? [] : [problem]));
    const [answers] = await Promise.all([
      good.length === 0 ? [] : many(good),
      refused.length === 0 ? undefined : call.recordRefused(refused),
    ]);
    let at = 0;
    for (const line of batch) {
      if (line.problem !== undefined) yield problemOf(line.problem);
      else yield* answers.slice(at, ++at);
    }
  }
}

/** The value, when it is there in time. */
async function within<T>(value: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([value, late]);
  } finally {
    clearTimeout(timer);
  }
}
