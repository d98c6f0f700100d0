import { KeysteadError } from "../errors.ts";

/** Those dates that are there, as JSON and queries have them. @throws KeysteadError `INVALID_ARGUMENT` for an invalid one */
export function instantTexts<Name extends string>(dates: Readonly<Partial<Record<Name, Date | undefined>>>): { [N in Name]?: string };
export function instantTexts(dates: Readonly<Record<string, Date | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(dates).flatMap(([name, date]) => (date === undefined ? [] : [[name, instantText(date, name)] as const])),
  );
}

function instantText(date: Date, name: string): string {
  if (Number.isNaN(date.getTime())) throw new KeysteadError("INVALID_ARGUMENT", `${name} is an invalid date; give a valid one`);
  return date.toISOString();
}
