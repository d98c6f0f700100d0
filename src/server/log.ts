import { type Logger, pino } from "pino";
import { KeysteadError } from "../errors.ts";
import type { ServerParts } from "./server-parts.ts";

/** The log for what happens to a server, in lines of JSON. Says nothing where there is no log. */
export function loggerOf({ log, settings }: Pick<ServerParts, "log" | "settings">): Logger {
  return log === undefined ? pino({ enabled: false }, { write: () => undefined }) : pino({ level: settings.log.level }, log);
}

/** What a log may say of an error: of Keystead's own code and message; of others only their kind and where they happened. */
export function errorForLog(error: unknown): Readonly<Record<string, unknown>> {
  if (!(error instanceof Error)) return { type: typeof error };
  const code: unknown = Reflect.get(error, "code");
  const frames = error.stack?.split("\n").filter((line) => line.startsWith("    at ")) ?? [];
  return {
    type: error.name,
    ...(typeof code === "string" && { code }),
    ...(error instanceof KeysteadError ? { message: error.message } : { stack: frames.map((line) => line.trim()) }),
    ...(error.cause !== undefined && { cause: errorForLog(error.cause) }),
  };
}
