/**
 * The known name that somebody probably meant.
 * @param words what was typed
 * @returns undefined when nothing is near: at most a third of the letters may differ
 */
export function nearestName(words: readonly string[], known: readonly string[]): string | undefined {
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const word of words) {
    if (word === "" || word.length > 255 || known.includes(word)) continue;
    for (const name of known) {
      const letters = editDistance(word.toLowerCase(), name.toLowerCase());
      // Of two that are as near, the one that was only not typed to its end.
      const distance = letters - (name.startsWith(word) ? 0.5 : 0);
      const near = letters <= Math.max(1, Math.floor(Math.min(word.length, name.length) / 3));
      if (near && (best === undefined || distance < best.distance)) best = { name, distance };
    }
  }
  return best?.name;
}

/** Letters to insert, remove, replace or swap with their neighbour (optimal string alignment). */
function editDistance(from: string, to: string): number {
  let [beforeLast, last]: [number[], number[]] = [[], Array.from({ length: to.length + 1 }, (_, at) => at)];
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let at = 1; at <= to.length; at += 1) {
      const replaced = (last[at - 1] ?? 0) + (from[row - 1] === to[at - 1] ? 0 : 1);
      const swapped = row > 1 && at > 1 && from[row - 1] === to[at - 2] && from[row - 2] === to[at - 1];
      current.push(
        Math.min(
          replaced,
          (last[at] ?? 0) + 1,
          (current[at - 1] ?? 0) + 1,
          swapped ? (beforeLast[at - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    [beforeLast, last] = [last, current];
  }
  return last[to.length] ?? 0;
}
