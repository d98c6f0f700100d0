import { KeysteadError } from "../errors.ts";

const pattern = /^(?<name>[a-z][a-z-]*)(?:\((?<argument>[A-Za-z0-9]{1,16})\))?$/;

/**
 * Finds the row of a table by a name with an optional argument: `exact`, `last(4)`, `phone(AU)`.
 *
 * @param what - Names the table in the error.
 * @throws KeysteadError `INVALID_ARGUMENT` naming what there is.
 */
export function findByName<T>(
  table: Readonly<Record<string, T>>,
  text: string,
  what: string,
): { readonly row: T; readonly argument: string | undefined } {
  const { name = "", argument } = pattern.exec(text)?.groups ?? {};
  const row = Object.hasOwn(table, name) ? table[name] : undefined;
  if (row !== undefined) return { row, argument };
  throw new KeysteadError("INVALID_ARGUMENT", `there is no such ${what}: use one of ${Object.keys(table).join(", ")}`);
}
