import type { KeysteadApi } from "../api/keystead-api.ts";
import { fromBase64, toBase64 } from "./binary.ts";
import { batch } from "./batch.ts";
import { each } from "./batch-answers.ts";
import { named } from "./data-items.ts";
import type { HttpCalls } from "./http-calls.ts";

/** Derived keys for the local mode. */
export function leaseCalls(http: HttpCalls): KeysteadApi["leases"] {
  return {
    seal: async (target, options = {}) => {
      const { prefix, aesKey, ...lease } = await http.call("POST /v1/leases/seal", { body: { ...named(target), ...options } }, false);
      return { ...lease, prefix: fromBase64(prefix), aesKey: fromBase64(aesKey) };
    },
    open: async ({ key, label, prefix: given }) => {
      const body = { key, label, prefix: toBase64(given) };
      const { prefix, aesKey, ...lease } = await http.call("POST /v1/leases/open", { body }, true);
      return { ...lease, prefix: fromBase64(prefix), aesKey: fromBase64(aesKey) };
    },
    renew: (leases) =>
      batch(
        leases,
        (lease) => lease,
        async (sent) => {
          const { leases: answers } = await http.call("POST /v1/leases/renew", { body: { leases: sent } }, true);
          return each(answers, ({ id }) => ({ id }));
        },
      ),
    release: async (lease, used) => {
      await http.call("POST /v1/leases/:lease/release", { params: { lease }, body: { used } }, true);
    },
    list: async (filter = {}) => [...(await http.call("GET /v1/leases", { query: filter }, true)).leases],
    show: (lease) => http.call("GET /v1/leases/:lease", { params: { lease } }, true),
    revoke: (lease, options = {}) => http.call("DELETE /v1/leases/:lease", { params: { lease }, query: options }, true),
  };
}
