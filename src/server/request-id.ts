import type { IncomingMessage } from "node:http";
import type { RandomPool } from "../crypto/random.ts";

// Without quotes, commas and line ends, so that it can stand in any log and header.
const wellFormed = /^[A-Za-z0-9._~:/+=@-]{1,128}$/;

const randomLength = 16;

/** The id of a request: its `X-Request-Id` when that is 1–128 characters which are safe in a log, else a new one. */
export function requestIdOf({ headers }: IncomingMessage, random: RandomPool): string {
  const given = headers["x-request-id"];
  return typeof given === "string" && wellFormed.test(given) ? given : makeRequestId(random);
}

/** A new id of a request. */
export function makeRequestId(random: RandomPool): string {
  return random.hex(randomLength);
}
