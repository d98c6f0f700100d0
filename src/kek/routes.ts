import { KeysteadError } from "../errors.ts";

/** A provider route: which KEK serves which keys. `purpose` and `namePrefix` both null: the default. */
export interface Route {
  readonly id: string;
  readonly purpose: string | null;
  /** Whole leading segments of a key name: `acme` covers `acme` and `acme/pii-email`, not `acme2`. */
  readonly namePrefix: string | null;
  readonly kekUri: string;
}

/** What is routed: a key that is made or re-wrapped. */
export interface RoutedKey {
  readonly purpose: string;
  readonly name: string;
}

function covers(route: Route, { purpose, name }: RoutedKey): boolean {
  const { purpose: wanted, namePrefix: prefix } = route;
  return (wanted === null || wanted === purpose) && (prefix === null || name === prefix || name.startsWith(`${prefix}/`));
}

/** Longest prefix first, then a named purpose. The default has neither. */
function bySpecificity(a: Route, b: Route): number {
  const prefixes = (b.namePrefix?.length ?? -1) - (a.namePrefix?.length ?? -1);
  return prefixes !== 0 ? prefixes : Number(a.purpose === null) - Number(b.purpose === null);
}

/**
 * Picks the route of a key: the most specific one that covers it.
 *
 * @throws KeysteadError `UNKNOWN_KEK` when no route covers the key, `CONFLICT` when two equally specific ones do: nothing is guessed
 */
export function pickRoute<R extends Route>(routes: readonly R[], key: RoutedKey): R {
  const [best, second] = routes.filter((route) => covers(route, key)).sort(bySpecificity);
  if (best === undefined) {
    throw new KeysteadError("UNKNOWN_KEK", `no provider route covers purpose ${key.purpose} and key ${key.name}; set one, or a default`);
  }
  if (second !== undefined && bySpecificity(best, second) === 0) {
    throw new KeysteadError("CONFLICT", `routes ${best.id} and ${second.id} are for the same keys; remove one of them`);
  }
  return best;
}
