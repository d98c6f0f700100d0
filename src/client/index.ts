export type { CallBounds } from "./call-bounds.ts";
export type { KeysteadApi } from "../api/keystead-api.ts";
export type { DataStreams, StreamOptions } from "./data-streams.ts";
export type { ConnectionOptions } from "./connection-options.ts";
export { KeysteadClient } from "./keystead-client.ts";
export type { LocalCipher, LocalCipherOptions, LocalOptions } from "./local-cipher.ts";
export type { ServedCalls } from "./served-calls.ts";
