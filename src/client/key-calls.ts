import type { KeysteadApi } from "../api/keystead-api.ts";
import type { HttpCalls } from "./http-calls.ts";
import { instantTexts } from "./instant-text.ts";

/** Keys and their lifecycle. */
export function keyCalls(http: HttpCalls): KeysteadApi["keys"] {
  const stateChange =
    (change: "activate" | "suspend" | "resume" | "deactivate" | "compromise") =>
    (key: string, version: number, options: { readonly reason?: string } = {}) =>
      http.call(`POST /v1/keys/:key/versions/:version/${change}`, { params: { key, version }, body: options }, false);
  return {
    create: async ({ expiresAt, activateAt, tags, ...input }) =>
      http.call(
        "POST /v1/keys",
        { body: { ...input, ...(tags !== undefined && { tags: { ...tags } }), ...instantTexts({ expiresAt, activateAt }) } },
        false,
      ),
    list: async (filter = {}) => [...(await http.call("GET /v1/keys", { query: filter }, true)).keys],
    show: (key) => http.call("GET /v1/keys/:key", { params: { key } }, true),
    rotate: async (key, { reason, ...dates } = {}) =>
      http.call(
        "POST /v1/keys/:key/rotate",
        { params: { key }, body: { ...(reason !== undefined && { reason }), ...instantTexts(dates) } },
        false,
      ),
    activate: stateChange("activate"),
    suspend: stateChange("suspend"),
    resume: stateChange("resume"),
    deactivate: stateChange("deactivate"),
    compromise: stateChange("compromise"),
    destroy: (key, version, options = {}) =>
      http.call("POST /v1/keys/:key/versions/:version/destroy", { params: { key, version }, body: options }, false),
    cancelDestroy: (key, version, options = {}) =>
      http.call("POST /v1/keys/:key/versions/:version/cancel-destroy", { params: { key, version }, body: options }, false),
    certificate: (key, version) => http.call("GET /v1/keys/:key/versions/:version/certificate", { params: { key, version } }, true),
    usage: (key, version) => http.call("GET /v1/keys/:key/versions/:version/usage", { params: { key, version } }, true),
    setAlias: (alias, key) => http.call("PUT /v1/aliases/:alias", { params: { alias }, body: { key } }, true),
    removeAlias: (alias) => http.call("DELETE /v1/aliases/:alias", { params: { alias } }, false),
    set: (key, { tags, ...settings }, { ifMatch } = {}) =>
      http.call(
        "PATCH /v1/keys/:key",
        { params: { key }, body: { ...settings, ...(tags !== undefined && { tags: { ...tags } }) } },
        false,
        { ifMatch },
      ),
  };
}
