import type { KeysteadApi } from "../api/keystead-api.ts";
import { fromBase64, toBase64 } from "./binary.ts";
import { ExportTally } from "./export-tally.ts";
import type { HttpCalls } from "./http-calls.ts";
import { instantTexts } from "./instant-text.ts";

type Audit = KeysteadApi["audit"];
type Records = Awaited<ReturnType<Audit["show"]>>;

/** Records of one page, at most. */
const pageRecords = 1000;
const defaultLimit = 100;

/** What was done, by whom. */
export function auditCalls(http: HttpCalls): Audit {
  const page: Audit["page"] = async ({ since, until, failed, ...filter } = {}) => {
    const query = {
      ...filter,
      ...(failed !== undefined && { failed: String(failed) }),
      ...instantTexts({ since, until }),
    };
    return { next: undefined, ...(await http.call("GET /v1/audit", { query }, true)) };
  };
  return {
    page,
    show: async (filter = {}) => {
      const { limit = defaultLimit } = filter;
      const found: Records = [];
      let after: string | undefined;
      // The server says what is wrong with a limit that lets nothing through.
      do {
        const { records, next } = await page({
          ...filter,
          limit: Math.min(limit - found.length, pageRecords),
          ...(after !== undefined && { after }),
        });
        found.push(...records);
        after = next;
      } while (after !== undefined && found.length < limit);
      return found.reverse();
    },
    report: async (range = {}) => http.call("GET /v1/audit/report", { query: instantTexts(range) }, true),
    verify: async ({ pinnedKeys } = {}) => {
      const body = { ...(pinnedKeys !== undefined && { pinnedKeys: pinnedKeys.map(toBase64) }) };
      return { newest: undefined, ...(await http.call("POST /v1/audit/verify", { body }, true)) };
    },
    export: async ({ since, until }, write) => {
      const query = instantTexts({ since, until });
      const tally = new ExportTally();
      await http.bytes("GET /v1/audit/export", { query }, async (chunk) => {
        tally.add(chunk);
        await write(chunk);
      });
      return tally.summary();
    },
    signers: async () => {
      const { signers } = await http.call("GET /v1/audit/signers", {}, true);
      return signers.map(({ publicKey, ...signer }) => ({ ...signer, publicKey: fromBase64(publicKey) }));
    },
  };
}
