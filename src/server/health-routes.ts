import { z } from "zod";
import type { Route } from "../api/route.ts";
import { KeysteadError } from "../errors.ts";
import type { ServerParts } from "./server-parts.ts";

/** Nothing may be there. */
export const nothing = z.strictObject({});

/** What routes have in common that ask nobody who it is. */
export const unasked = {
  method: "GET",
  tag: "server",
  action: undefined,
  audit: "none",
  idempotent: true,
  status: 200,
  tagged: false,
  problems: [],
  params: nothing,
  query: nothing,
  body: nothing,
} as const;

const readyAnswer = z.strictObject({
  ready: z.literal(true),
  checks: z.array(z.strictObject({ check: z.string(), ready: z.boolean(), cause: z.exactOptional(z.string()) })),
});

/** Routes by which machines watch a server: nobody is asked who it is, and nothing is recorded. */
export function healthRoutes({ health, version }: Pick<ServerParts, "health" | "version">): readonly Route[] {
  const live: Route<typeof nothing, typeof nothing, typeof nothing, z.ZodObject<{ live: z.ZodLiteral<true> }>> = {
    ...unasked,
    path: "/livez",
    summary: "Tells that the process answers.",
    answer: z.strictObject({ live: z.literal(true) }),
    handle: async () => ({ live: true as const }),
  };
  const ready: Route<typeof nothing, typeof nothing, typeof nothing, typeof readyAnswer> = {
    ...unasked,
    path: "/readyz",
    summary: "Tells whether the server can do its work, and what keeps it from it.",
    problems: ["OVERLOADED"],
    answer: readyAnswer,
    handle: async () => {
      const checks = await health();
      const causes = checks.filter((check) => !check.ready).map(({ check, cause }) => `${check}: ${cause ?? "no cause given"}`);
      if (causes.length > 0) throw new KeysteadError("OVERLOADED", `not ready: ${causes.join("; ")}`);
      return { ready: true as const, checks: [...checks] };
    },
  };
  const versionRoute: Route<typeof nothing, typeof nothing, typeof nothing, z.ZodObject<{ version: z.ZodString }>> = {
    ...unasked,
    path: "/v1/version",
    summary: "Tells which version of Keystead answers.",
    answer: z.strictObject({ version: z.string() }),
    handle: async () => ({ version }),
  };
  return [live, ready, versionRoute];
}
