import { sqlState } from "./sql-state.ts";

const named = ["schema", "table", "column", "constraint", "dataType", "routine"] as const;

/**
 * A server's error without the texts that may repeat a value (`Key (email)=(…) already exists`): its code and the names it gives.
 * Errors of the connection stay as they are.
 */
export function bareError(error: unknown): unknown {
  const state = sqlState(error);
  if (!(error instanceof Error) || state === undefined) return error;
  const names = named.flatMap((name) => {
    const value: unknown = Reflect.get(error, name);
    return typeof value === "string" ? [`${name} ${value}`] : [];
  });
  return Object.assign(new Error(`PostgreSQL error ${[state, ...names].join(", ")}`), { code: state });
}
