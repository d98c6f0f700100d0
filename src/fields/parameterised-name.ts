import { KeysteadError } from "../errors.ts";
import { nearestName } from "../nearest-name.ts";

const pattern = /^(?<name>[a-z][a-z-]*)(?:\((?<argument>[A-Za-z0-9]{1,16})\))?$/;

/**
 * Finds the row of a table by a name with an optional argument: `exact`, `last(4)`, `phone(AU)`.
 *
 * @param table - `example`: how a name that needs an argument is written.
 * @param what - Names the table in the error.
 * @throws KeysteadError `INVALID_ARGUMENT` naming what there is, and what was probably meant.
 */
export function findByName<T extends { readonly description: string; readonly example?: string }>(
  table: Readonly<Record<string, T>>,
  text: string,
  what: string,
): { readonly row: T; readonly argument: string | undefined } {
  const { name = "", argument } = pattern.exec(text)?.groups ?? {};
  const row = Object.hasOwn(table, name) ? table[name] : undefined;
  if (row !== undefined) return { row, argument };
  const written = (known: string): string => table[known]?.example ?? known;
  const near = nearestName([/^[^\d(]*/.exec(text)?.[0] ?? ""], Object.keys(table));
  const question = near === undefined ? "" : `did you mean ${written(near)}? `;
  throw new KeysteadError(
    "INVALID_ARGUMENT",
    `there is no such ${what}: ${question}use one of ${Object.keys(table).map(written).join(", ")}`,
  );
}
