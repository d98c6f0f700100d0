import type { KeysteadApi } from "../api/keystead-api.ts";
import type { HttpCalls } from "./http-calls.ts";

/** Purposes, provider routes, KEKs and settings. */
export function registryCalls(http: HttpCalls): Pick<KeysteadApi, "purposes" | "routes" | "keks" | "settings"> {
  return {
    purposes: {
      list: async () => [...(await http.call("GET /v1/purposes", {}, true)).purposes],
      show: (purpose) => http.call("GET /v1/purposes/:purpose", { params: { purpose } }, true),
      create: (name, settings = {}) => http.call("POST /v1/purposes", { body: { name, ...bodyOf(settings) } }, false),
      set: (purpose, settings, { ifMatch } = {}) =>
        http.call("PATCH /v1/purposes/:purpose", { params: { purpose }, body: bodyOf(settings) }, false, { ifMatch }),
    },
    routes: {
      list: async () => [...(await http.call("GET /v1/routes", {}, true)).routes],
      set: (selector, kekUri) => http.call("PUT /v1/routes", { body: { ...selector, kekUri } }, true),
    },
    keks: {
      list: async () => [...(await http.call("GET /v1/keks", {}, true)).keks],
      add: (kekUri) => http.call("POST /v1/keks", { body: { kekUri } }, true),
      test: (kekUri) => http.call("POST /v1/keks/test", { body: { kekUri } }, true),
      rotate: async (from, to, onProgress) => {
        const progress = await http.call("POST /v1/keks/rotate", { body: { from, to } }, true);
        onProgress?.(progress);
        return progress;
      },
    },
    settings: {
      list: () => http.call("GET /v1/settings", {}, true),
      set: (name, value) => http.call("PUT /v1/settings/:name", { params: { name }, body: { value } }, true),
    },
  };
}

type PurposeSettings = Parameters<KeysteadApi["purposes"]["set"]>[1];

function bodyOf({ algorithms, ...settings }: PurposeSettings): Omit<PurposeSettings, "algorithms"> & { algorithms?: string[] } {
  return { ...settings, ...(algorithms !== undefined && { algorithms: [...algorithms] }) };
}
