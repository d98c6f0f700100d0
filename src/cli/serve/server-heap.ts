import { setFlagsFromString } from "node:v8";

/** Old garbage that may come before it is collected, in percent of what is alive. */
const garbage = 200;

/**
 * Lets old garbage grow to twice of what is alive, which is some 45 MB. V8 by itself looks through everything about once a second under
 * load, and finds hardly any garbage: each look costs 30 ms, and takes their optimised code from functions that are made anew in each call.
 */
export function collectSeldom(): void {
  setFlagsFromString(`--heap-growing-percent=${garbage}`);
}
