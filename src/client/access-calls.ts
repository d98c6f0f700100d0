import type { KeysteadApi } from "../api/keystead-api.ts";
import type { HttpCalls } from "./http-calls.ts";
import { instantTexts } from "./instant-text.ts";

/** Who may do what. */
export function accessCalls(http: HttpCalls): Pick<KeysteadApi, "policies" | "principals" | "tokens" | "approvals" | "whoami" | "doctor"> {
  return {
    whoami: () => http.call("GET /v1/whoami", {}, true),
    doctor: { examine: async () => [...(await http.call("POST /v1/doctor", {}, true)).findings] },
    policies: {
      list: async () => [...(await http.call("GET /v1/policies", {}, true)).policies],
      roles: async () => [...(await http.call("GET /v1/roles", {}, true)).roles],
      show: (policy) => http.call("GET /v1/policies/:policy", { params: { policy } }, true),
      create: (input) => http.call("POST /v1/policies", { body: input }, false),
      set: (policy, input, { ifMatch } = {}) =>
        http.call("PATCH /v1/policies/:policy", { params: { policy }, body: input }, false, { ifMatch }),
      remove: (policy, { ifMatch } = {}) => http.call("DELETE /v1/policies/:policy", { params: { policy } }, false, { ifMatch }),
      explain: (principal, action, options = {}) =>
        http.call("POST /v1/policies/explain", { body: { principal, action, ...options } }, true),
    },
    principals: {
      list: async () => [...(await http.call("GET /v1/principals", {}, true)).principals],
      show: (principal) => http.call("GET /v1/principals/:principal", { params: { principal } }, true),
      set: (principal, settings, { ifMatch } = {}) =>
        http.call("PATCH /v1/principals/:principal", { params: { principal }, body: settings }, false, { ifMatch }),
      remove: (principal, { ifMatch } = {}) => http.call("DELETE /v1/principals/:principal", { params: { principal } }, false, { ifMatch }),
    },
    tokens: {
      list: async () => [...(await http.call("GET /v1/tokens", {}, true)).tokens],
      create: async ({ expiresAt, ...input }) =>
        http.call("POST /v1/tokens", { body: { ...input, ...instantTexts({ expiresAt }) } }, false),
      revoke: (token) => http.call("POST /v1/tokens/:token/revoke", { params: { token } }, true),
    },
    approvals: {
      list: async (filter = {}) => [...(await http.call("GET /v1/approvals", { query: filter }, true)).approvals],
      show: (approval) => http.call("GET /v1/approvals/:approval", { params: { approval } }, true),
      approve: (approval, options = {}) =>
        http.call("POST /v1/approvals/:approval/approve", { params: { approval }, body: options }, false),
      reject: (approval, options = {}) => http.call("POST /v1/approvals/:approval/reject", { params: { approval }, body: options }, false),
    },
  };
}
