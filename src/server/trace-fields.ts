import type { IncomingMessage } from "node:http";

/** Header fields of W3C Trace Context. */
const traceFields = ["traceparent", "tracestate"] as const;

/** Header fields of a request by which its trace goes on, and nothing else. */
export function traceOf({ headers }: IncomingMessage): Readonly<Record<string, string>> {
  const trace: Record<string, string> = {};
  for (const name of traceFields) {
    const value = headers[name];
    if (typeof value === "string") trace[name] = value;
  }
  return trace;
}
