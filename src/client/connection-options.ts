import { anything, assertArguments, object, optional, rule, text, textOrBytes } from "../arguments.ts";
import type { Clock } from "../clock.ts";
import { KeysteadError } from "../errors.ts";

/** How a server is reached. */
export interface ConnectionOptions {
  /** `https://keys.example.org`; a path before `/v1` may follow. */
  readonly url: string;
  /** An API token or one of an identity provider; a function is asked before each call, and keeps what it got itself. */
  readonly token: string | (() => string | Promise<string>);
  /** PEM of the authorities that may have signed the server's certificate; those of the system when absent. */
  readonly ca?: string | Uint8Array;
  /** PEM of a client certificate and of its key, where the server wants them. */
  readonly certificate?: { readonly cert: string | Uint8Array; readonly key: string | Uint8Array };
  /** Milliseconds within which an answer has to begin, a day at most; 30,000 when absent. */
  readonly timeout?: number;
  /** How often a call is sent again that may be, and that met a lost connection or a server that is busy, 10 at most; 2 when absent. */
  readonly retries?: number;
  /** Connections that are kept open at most, 1 to 1,000; 16 when absent. */
  readonly connections?: number;
  /** Measures what is waited before a call is sent again. */
  readonly clock?: Clock;
}

/** Milliseconds of a day: no answer is waited for any longer. */
export const longestTimeout = 86_400_000;
/** How often a call may be sent again. */
export const mostRetries = 10;

const rules = {
  options: object<ConnectionOptions>({
    url: text,
    token: rule("text or a function", (value) => typeof value === "string" || typeof value === "function"),
    ca: optional(textOrBytes),
    certificate: optional(object<NonNullable<ConnectionOptions["certificate"]>>({ cert: textOrBytes, key: textOrBytes })),
    timeout: optional(wholeNumber(1, longestTimeout)),
    retries: optional(wholeNumber(0, mostRetries)),
    connections: optional(wholeNumber(1, 1_000)),
    clock: anything,
  }),
} as const;

/** @throws KeysteadError `INVALID_ARGUMENT` for options that are none */
export function assertConnectionOptions(options: ConnectionOptions): void {
  assertArguments({ options }, rules);
}

/** @throws KeysteadError `INVALID_ARGUMENT` for an address that is none, that carries a password, or is remote without TLS */
export function parseAddress(address: string): URL {
  const url = URL.parse(address);
  if (url === null || !["http:", "https:"].includes(url.protocol))
    throw new KeysteadError("INVALID_ARGUMENT", "the server's address is a URL that begins with https:// or http://");
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "")
    throw new KeysteadError("INVALID_ARGUMENT", "the server's address has no user, password, query or fragment; give the token by itself");
  if (url.protocol === "http:" && !isLoopback(url.hostname))
    throw new KeysteadError(
      "INVALID_ARGUMENT",
      "without TLS anybody on the way reads the token; give an https:// address, or one of this machine",
    );
  return url;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** A rule for whole numbers of a range. */
export function wholeNumber(least: number, most: number): ReturnType<typeof rule> {
  const fits = (value: unknown): boolean => typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
  return rule(`a whole number from ${String(least)} to ${String(most)}`, fits);
}
