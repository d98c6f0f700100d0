import { KeysteadError } from "../errors.ts";
import { mixedReleases } from "./batch-answers.ts";

/** An item that failed, as the embedded engine tells it. */
interface ItemProblem {
  readonly problem: KeysteadError;
}

/** Items of one call, at most. */
const mostItems = 1000;

/**
 * Sends the items of a batch that can be sent, and puts what is wrong with the others in their places. Where nothing is left nothing is sent.
 * @param sent an item as the server takes it; a KeysteadError of it is that item's problem
 * @param send what the server answers to items, in order
 * @throws KeysteadError `TOO_LARGE`, and what sending throws
 */
export async function batch<I, S, A>(
  items: readonly I[],
  sent: (item: I) => S,
  send: (items: S[]) => Promise<readonly A[]>,
): Promise<(A | ItemProblem)[]> {
  if (items.length > mostItems)
    throw new KeysteadError("TOO_LARGE", `a batch has at most ${String(mostItems)} items; send several, or a stream`);
  const prepared = items.map((item) => prepare(item, sent));
  const sendable = prepared.flatMap((one) => ("item" in one ? [one.item] : []));
  const answers = sendable.length === 0 ? [] : await send(sendable);
  if (answers.length !== sendable.length) throw mixedReleases();
  let taken = 0;
  return prepared.flatMap((one): readonly (A | ItemProblem)[] => ("problem" in one ? [one] : answers.slice(taken, (taken += 1))));
}

function prepare<I, S>(item: I, sent: (item: I) => S): { readonly item: S } | ItemProblem {
  try {
    return { item: sent(item) };
  } catch (error) {
    if (error instanceof KeysteadError) return { problem: error };
    throw error;
  }
}
