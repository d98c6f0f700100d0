import type { Resource } from "../../../src/access/access-control.ts";
import type { RouteRows } from "../../../src/api/routes.ts";

/** What samples are about: a key, and what was made with it. */
export interface SampleKey {
  readonly key: string;
  readonly ciphertext: string;
  readonly dataKey: string;
}

/** A request of a route, and what access control is asked about. */
export interface Sample {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly asks?: Resource;
}

type Make = (key: SampleKey) => Sample;

/** The dataset that samples are about. */
export const sampleDataset = "crm.person";
const dataset = sampleDataset;
const onDataset = { dataset } as const;
const text = { text: "x" };
const nobody = "os-user:nobody";
const plain: Make = () => ({});
const withKey =
  (body: (key: SampleKey) => unknown): Make =>
  (key) => ({ body: body(key), asks: { key: key.key, purpose: "pii" } });
const keyed: Make = ({ key }) => ({ params: { key }, asks: { key } });
const versioned: Make = ({ key }) => ({ params: { key, version: "1" }, asks: { key } });
const ofDataset: Make = () => ({ params: { dataset }, asks: onDataset });
const ofColumn: Make = () => ({ params: { dataset, column: "phone" }, asks: onDataset });
const ofGeneration: Make = () => ({ params: { dataset, index: "email", generation: "1" }, asks: onDataset });
const ofPolicy: Make = () => ({ params: { policy: "a7f2qdk5m3xw2b4c" } });
const ofApproval: Make = () => ({ params: { approval: "a7f2qdk5m3xw2b4c" } });
const harmless = { effect: "deny", subject: nobody, actions: ["data.encrypt"] };

const unknownLease = "019300aa-0000-7000-8000-000000000000";

const seal = withKey(({ key }) => ({ key, ...text }));
const open = withKey(({ ciphertext }) => ({ ciphertext }));
const verifyTag = withKey(({ key }) => ({ key, ...text, tag: "1-aaaaaa.AAAA" }));
const openKey = withKey(({ dataKey }) => ({ ciphertext: dataKey }));
const hash: Make = () => ({ body: text });
const random: Make = () => ({ body: { bytes: 16 } });
const tokens: Make = () => ({ body: { dataset, index: "email", values: ["x"] }, asks: onDataset });

/** A request of every route. A row without one does not compile. */
export const samples: Readonly<Record<keyof RouteRows, Make>> = {
  "POST /v1/encrypt": seal,
  "POST /v1/decrypt": open,
  "POST /v1/reveal": withKey(({ ciphertext }) => ({ ciphertext, reason: "ticket 4711" })),
  "POST /v1/rewrap": open,
  "POST /v1/mac": seal,
  "POST /v1/mac/verify": verifyTag,
  "POST /v1/data-keys": withKey(({ key }) => ({ key })),
  "POST /v1/data-keys/open": openKey,
  "POST /v1/hash": hash,
  "POST /v1/random": random,
  "POST /v1/index": tokens,
  "POST /v1/streams/encrypt": seal,
  "POST /v1/streams/decrypt": open,
  "POST /v1/streams/rewrap": open,
  "POST /v1/streams/mac": seal,
  "POST /v1/streams/mac/verify": verifyTag,
  "POST /v1/streams/data-keys": withKey(({ key }) => ({ key })),
  "POST /v1/streams/data-keys/open": openKey,
  "POST /v1/streams/hash": hash,
  "POST /v1/streams/random": random,
  "POST /v1/streams/index": tokens,

  "POST /v1/leases/seal": withKey(({ key }) => ({ key })),
  "POST /v1/leases/open": withKey(({ key, ciphertext }) => ({
    key,
    label: ciphertext.split(":")[2],
    prefix: Buffer.alloc(12).toString("base64"),
  })),
  "POST /v1/leases/renew": () => ({ body: { leases: [{ id: unknownLease, use: "seal" }] } }),
  "POST /v1/leases/:lease/release": () => ({ params: { lease: unknownLease }, body: { used: 0 } }),
  "GET /v1/leases": plain,
  "GET /v1/leases/:lease": () => ({ params: { lease: unknownLease } }),
  "DELETE /v1/leases/:lease": () => ({ params: { lease: unknownLease } }),
  "GET /metrics": plain,

  "GET /v1/keys": plain,
  "POST /v1/keys": ({ key }) => ({ body: { name: key, purpose: "pii" }, asks: { key, purpose: "pii" } }),
  "GET /v1/keys/:key": keyed,
  "PATCH /v1/keys/:key": (key) => ({ ...keyed(key), body: { tags: { team: "a" } } }),
  "POST /v1/keys/:key/rotate": keyed,
  "POST /v1/keys/:key/versions/:version/activate": versioned,
  "POST /v1/keys/:key/versions/:version/suspend": versioned,
  "POST /v1/keys/:key/versions/:version/resume": versioned,
  "POST /v1/keys/:key/versions/:version/deactivate": versioned,
  "POST /v1/keys/:key/versions/:version/compromise": versioned,
  "POST /v1/keys/:key/versions/:version/destroy": versioned,
  "POST /v1/keys/:key/versions/:version/cancel-destroy": versioned,
  "GET /v1/keys/:key/versions/:version/usage": versioned,
  "GET /v1/keys/:key/versions/:version/certificate": versioned,
  "GET /v1/keys/:key/census": keyed,
  "PUT /v1/aliases/:alias": ({ key }) => ({ params: { alias: `alias-${key}` }, body: { key }, asks: { key } }),
  "DELETE /v1/aliases/:alias": () => ({ params: { alias: "no-alias" } }),

  "GET /v1/purposes": plain,
  "POST /v1/purposes": () => ({ body: { name: "medical" }, asks: { purpose: "medical" } }),
  "GET /v1/purposes/:purpose": () => ({ params: { purpose: "pii" }, asks: { purpose: "pii" } }),
  "PATCH /v1/purposes/:purpose": () => ({ params: { purpose: "pii" }, body: { description: "d" }, asks: { purpose: "pii" } }),
  "GET /v1/routes": plain,
  "PUT /v1/routes": () => ({ body: { kekUri: "local:none" } }),
  "GET /v1/keks": plain,
  "POST /v1/keks": () => ({ body: { kekUri: "local:none" } }),
  "POST /v1/keks/test": () => ({ body: { kekUri: "local:none" } }),
  "POST /v1/keks/rotate": () => ({ body: { from: "local:none", to: "local:other" } }),
  "GET /v1/settings": plain,
  "PUT /v1/settings/:name": () => ({ params: { name: "refreshBound" }, body: { value: 500 } }),

  "GET /v1/datasets": plain,
  "POST /v1/datasets": ({ key }) => ({
    body: { name: dataset, database: "none", table: "person", keyColumns: ["id"], columns: { email: { key } } },
    asks: onDataset,
  }),
  "GET /v1/datasets/:dataset": ofDataset,
  "POST /v1/datasets/:dataset/indexes": ({ key }) => ({
    params: { dataset },
    body: { name: "email", columns: ["email"], column: "email_index", key, kind: "exact", normalisers: ["text"] },
    asks: onDataset,
  }),
  "POST /v1/datasets/:dataset/indexes/:index/generations": () => ({
    params: { dataset, index: "email" },
    body: { column: "email_index_2" },
    asks: onDataset,
  }),
  "DELETE /v1/datasets/:dataset/indexes/:index/generations/:generation": ofGeneration,
  "POST /v1/datasets/:dataset/plan-index": () => ({
    params: { dataset },
    body: { columns: ["email"], kind: "exact", normalisers: ["text"] },
    asks: onDataset,
  }),
  "POST /v1/datasets/:dataset/census": ofDataset,
  "POST /v1/datasets/:dataset/find": () => ({ params: { dataset }, body: { index: "email", values: ["x"] }, asks: onDataset }),
  "POST /v1/datasets/:dataset/protect": ofDataset,
  "POST /v1/datasets/:dataset/reencrypt": ofDataset,
  "POST /v1/datasets/:dataset/recontext": ofDataset,
  "POST /v1/datasets/:dataset/verify": ofDataset,
  "POST /v1/datasets/:dataset/index": ofDataset,
  "POST /v1/datasets/:dataset/unprotect": ofDataset,
  "POST /v1/datasets/:dataset/indexes/:index/generations/:generation/cut-over": ofGeneration,
  "POST /v1/datasets/:dataset/columns/:column/cut-over": ofColumn,
  "POST /v1/datasets/:dataset/columns/:column/erase": ofColumn,
  "GET /v1/jobs": plain,
  "GET /v1/datasets/:dataset/job": ofDataset,
  "POST /v1/datasets/:dataset/job/pause": ofDataset,
  "POST /v1/datasets/:dataset/job/cancel": ofDataset,
  "POST /v1/datasets/:dataset/job/resume": ofDataset,
  "GET /v1/datasets/:dataset/job/events": ofDataset,

  "GET /v1/whoami": plain,
  "GET /v1/policies": plain,
  "POST /v1/policies": () => ({ body: harmless }),
  "GET /v1/policies/:policy": ofPolicy,
  "PATCH /v1/policies/:policy": (key) => ({ ...ofPolicy(key), body: harmless }),
  "DELETE /v1/policies/:policy": ofPolicy,
  "POST /v1/policies/explain": ({ key }) => ({ body: { principal: nobody, action: "data.encrypt", key } }),
  "GET /v1/roles": plain,
  "GET /v1/principals": plain,
  "GET /v1/principals/:principal": () => ({ params: { principal: nobody } }),
  "PATCH /v1/principals/:principal": () => ({ params: { principal: nobody }, body: { description: "d" } }),
  "DELETE /v1/principals/:principal": () => ({ params: { principal: nobody } }),
  "GET /v1/tokens": plain,
  "POST /v1/tokens": () => ({ body: { name: "t" } }),
  "POST /v1/tokens/:token/revoke": () => ({ params: { token: "a7f2qdk5m3xw2b4c" } }),
  "GET /v1/approvals": plain,
  "GET /v1/approvals/:approval": ofApproval,
  "POST /v1/approvals/:approval/approve": ofApproval,
  "POST /v1/approvals/:approval/reject": ofApproval,
  "POST /v1/doctor": plain,
  "GET /v1/audit": plain,
  "GET /v1/audit/report": plain,
  "GET /v1/audit/export": plain,
  "POST /v1/audit/verify": plain,
  "GET /v1/audit/signers": plain,
};
