export type { KeysteadApi } from "../api/keystead-api.ts";
export type { ConnectionOptions } from "./http-calls.ts";
export { KeysteadClient } from "./keystead-client.ts";
