import type { KekProvider } from "./kek.ts";

/** Extra power of a provider: it knows which of its raw errors are worth another try (busy, throttled, connection lost). */
export interface JudgesRetries {
  /** Must be true only when repeating the same call can't do harm and may succeed. */
  isRetryable(error: unknown): boolean;
}

/** True when the provider says which errors may be retried; without it nothing is. */
export function judgesRetries(provider: Pick<KekProvider, "mapError">): provider is Pick<KekProvider, "mapError"> & JudgesRetries {
  return "isRetryable" in provider && typeof provider.isRetryable === "function";
}
