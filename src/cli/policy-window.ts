import { KeysteadError } from "../errors.ts";
import type { PolicyInput } from "../index.ts";

type Window = NonNullable<PolicyInput["daily"]>;
type Day = NonNullable<Window["days"]>[number];

const days: readonly Day[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** Reads `08:00-18:00`, or `mon,fri@08:00-18:00`; the engine checks the times. @throws KeysteadError `INVALID_ARGUMENT` */
export function readWindow(text: string): Window {
  const [, named, from, to] = /^(?:([a-z,]+)@)?(\d\d:\d\d)-(\d\d:\d\d)$/.exec(text) ?? [];
  const wanted = named?.split(",");
  const known = days.filter((day) => wanted?.includes(day));
  if (from === undefined || to === undefined || (wanted !== undefined && known.length !== wanted.length))
    throw new KeysteadError("INVALID_ARGUMENT", "a window is 08:00-18:00, or mon,tue,fri@08:00-18:00, in UTC");
  return { from, to, ...(wanted !== undefined && { days: known }) };
}
