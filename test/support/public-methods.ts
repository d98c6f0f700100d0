/** A public method with arguments that are right, and the bad values that are right in a place, too. */
export interface Method {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly accepts?: readonly (readonly string[])[];
}

const spec = {
  datasetId: "d",
  columns: ["a"],
  kind: "exact",
  normaliser: "text",
  normaliserVersion: "1",
  unicodeVersion: "16",
  bits: 16,
  generation: 1,
  keyVersion: 1,
};

async function* noBytes(): AsyncGenerator<Uint8Array> {
  yield* [];
}

const dates = { expiresAt: new Date("2100-01-01"), activateAt: new Date("2099-01-01") };
const auditFilter = {
  limit: 1,
  since: dates.activateAt,
  until: dates.expiresAt,
  action: "keys",
  key: "k",
  dataset: "d",
  failed: true,
  outcome: "denied",
  principal: "os-user:anna",
  request: "1",
  purpose: "pii",
};
/** What may be given in place of options. */
export const options = ["undefined", "empty object"];
const contexts = [...options, "object with an unknown property"];
const texts = ["text"];
const textAndBytes = ["text", "bytes"];
const anyValue = [
  "number",
  "NaN",
  "bigint",
  "boolean",
  "text",
  "array",
  "bytes",
  "Date",
  "empty object",
  "object with an unknown property",
];
const target = texts;
const sealedText = `ks1:k:1-aaaaaa:${"A".repeat(80)}`;

function silent(): void {
  // A callback that hears and does nothing.
}

/** Every public method, by service. */
export const methods: Readonly<Record<string, readonly Method[]>> = {
  keystead: [
    { name: "open", args: ["k", {}], accepts: [target, options] },
    { name: "encrypt", args: ["k", "x", { context: {}, dataset: "d" }], accepts: [target, textAndBytes, options] },
    { name: "encryptBytes", args: ["k", "x", { context: {}, dataset: "d" }], accepts: [target, textAndBytes, options] },
    { name: "encryptValue", args: ["k", "x", { context: {}, dataset: "d" }], accepts: [target, anyValue, options] },
    { name: "decrypt", args: [sealedText, { context: {} }], accepts: [textAndBytes, options] },
    { name: "decryptText", args: [sealedText, { context: {} }], accepts: [textAndBytes, options] },
    { name: "decryptValue", args: [sealedText, { context: {} }], accepts: [textAndBytes, options] },
    { name: "reveal", args: [sealedText, { context: {}, reason: "r" }], accepts: [textAndBytes, options] },
    { name: "revealMany", args: [[{ ciphertext: sealedText, context: {} }], { reason: "r" }], accepts: [[], options] },
    { name: "rewrap", args: [sealedText, { context: {}, key: "k", dataset: "d" }], accepts: [textAndBytes, options] },
    { name: "encryptStream", args: ["k", noBytes(), { context: {}, dataset: "d" }], accepts: [target, [], options] },
    { name: "decryptStream", args: [noBytes(), { context: {} }], accepts: [[], options] },
    { name: "rewrapStream", args: [noBytes(), { context: {}, key: "k", dataset: "d" }], accepts: [[], options] },
    { name: "encryptMany", args: [[{ target: "k", plaintext: "x", value: undefined, context: {}, dataset: "d" }]] },
    { name: "decryptMany", args: [[{ ciphertext: sealedText, context: {}, typed: false }]] },
    { name: "hashMany", args: [[{ data: "x", algorithm: "SHA-256" }]] },
    { name: "randomBytesMany", args: [[{ bytes: 1 }]] },
    { name: "rewrapMany", args: [[{ ciphertext: sealedText, context: {}, key: "k", dataset: "d" }]] },
    { name: "mac", args: ["k", "x"], accepts: [target, textAndBytes] },
    { name: "macMany", args: [[{ target: "k", data: "x" }]] },
    { name: "verifyMac", args: ["k", "x", "1-aaaaaa.AA"], accepts: [target, textAndBytes, texts] },
    { name: "verifyMacMany", args: [[{ target: "k", data: "x", tag: "1-aaaaaa.AA" }]] },
    { name: "hash", args: ["x", "SHA-256"], accepts: [textAndBytes, ["undefined"]] },
    { name: "randomBytes", args: [1], accepts: [["number"]] },
    {
      name: "as",
      args: [{ principal: { source: "embedded", id: "x" }, roles: [], claims: {}, groups: [], scope: {}, request: { id: "1" } }],
    },
    {
      name: "requireAccess",
      args: [{ source: "embedded", id: "x" }, "own.act", { key: "k", purpose: "pii", dataset: "d", context: {} }, silent],
      accepts: [[], [], ["empty object"], ["function"]],
    },
    { name: "whoami", args: [] },
    { name: "handOver", args: ["sqlite:copy.db", false], accepts: [texts, ["boolean"]] },
    { name: "refresh", args: [] },
    { name: "close", args: [] },
  ],
  dataKeys: [
    { name: "create", args: ["k", { context: {}, bytes: 32, plain: false }], accepts: [target, options] },
    { name: "createMany", args: [[{ target: "k", context: {}, bytes: 32, plain: false }]] },
    { name: "open", args: [sealedText, { context: {} }], accepts: [textAndBytes, options] },
    { name: "openMany", args: [[{ ciphertext: sealedText, context: {} }]] },
  ],
  leases: [
    { name: "seal", args: ["k", { dataset: "people" }], accepts: [target, options] },
    { name: "open", args: [{ key: "k", label: "1-aaaaaa", prefix: Buffer.alloc(12) }] },
    { name: "renew", args: [[{ id: "nothing", use: "seal" }]] },
    { name: "release", args: ["nothing", 1], accepts: [texts, ["number"]] },
    { name: "list", args: [{ key: "k" }], accepts: [options] },
    { name: "show", args: ["nothing"], accepts: [texts] },
    { name: "revoke", args: ["nothing", { reason: "x" }], accepts: [texts, options] },
  ],
  keys: [
    {
      name: "create",
      args: [{ name: "new", purpose: "pii", usage: "encrypt", algorithm: "XAES-256-GCM", tags: {}, rotationDays: 1, ...dates }],
    },
    { name: "list", args: [{ purpose: "pii" }], accepts: [options] },
    { name: "show", args: ["k"], accepts: [texts] },
    { name: "rotate", args: ["k", { reason: "x", ...dates }], accepts: [target, options] },
    ...["activate", "suspend", "resume", "deactivate", "compromise", "cancelDestroy"].map((name) => ({
      name,
      args: ["k", 1, { reason: "x" }],
      accepts: [target, ["number", "NaN"], options],
    })),
    { name: "destroy", args: ["k", 1, { reason: "x", waitingDays: 1 }], accepts: [target, ["number", "NaN"], options] },
    { name: "usage", args: ["k", 1], accepts: [target, ["number", "NaN"]] },
    { name: "certificate", args: ["k", 1], accepts: [target, ["number", "NaN"]] },
    { name: "setAlias", args: ["alias", "k"], accepts: [texts, texts] },
    { name: "removeAlias", args: ["alias"], accepts: [texts] },
    { name: "set", args: ["k", { tags: {}, rotationDays: 1 }], accepts: [texts, ["empty object"]] },
  ],
  purposes: [
    { name: "list", args: [] },
    { name: "show", args: ["pii"], accepts: [texts] },
    {
      name: "create",
      args: ["new", { description: "", defaultKey: "k", rotationDays: 1, algorithms: [], hardware: false }],
      accepts: [texts, options],
    },
    {
      name: "set",
      args: ["pii", { description: "", defaultKey: "k", rotationDays: 1, algorithms: [], hardware: false }],
      accepts: [texts, ["empty object"]],
    },
  ],
  routes: [
    { name: "list", args: [] },
    { name: "set", args: [{ purpose: "pii", namePrefix: "a" }, "local:other"], accepts: [["empty object"], texts] },
  ],
  keks: [
    { name: "list", args: [] },
    { name: "add", args: ["local:other"], accepts: [texts] },
    { name: "test", args: ["local:other"], accepts: [texts] },
    { name: "rotate", args: ["local:main", "local:other", silent], accepts: [texts, texts, ["undefined", "function"]] },
  ],
  settings: [
    { name: "list", args: [] },
    { name: "set", args: ["backupRetentionDays", 1], accepts: [texts, ["number"]] },
  ],
  datasets: [
    {
      name: "add",
      args: ["new", { database: "crm", table: "t", keyColumns: ["id"], columns: {}, context: {}, indexes: {} }],
      accepts: [texts],
    },
    { name: "addIndex", args: ["d", "i", { columns: ["a"], column: "t", key: "k" }], accepts: [texts, texts] },
    { name: "startGeneration", args: ["d", "i", { column: "t" }], accepts: [texts, texts] },
    { name: "cutOver", args: ["d", "i", 2, { rowsPerSecond: 1, dryRun: true }], accepts: [texts, texts, ["number", "NaN"], options] },
    ...["cutOverColumn", "eraseColumn"].map((name) => ({
      name,
      args: ["d", "c", { rowsPerSecond: 1, dryRun: true }],
      accepts: [texts, texts, options],
    })),
    { name: "dropGeneration", args: ["d", "i", 1], accepts: [texts, texts, ["number", "NaN"]] },
    { name: "list", args: [] },
    { name: "show", args: ["d"], accepts: [texts] },
    ...["protect", "reencrypt", "verify", "index", "unprotect"].map((name) => ({
      name,
      args: ["d", { onProgress: silent, signal: new AbortController().signal, rowsPerSecond: 1, dryRun: true }],
      accepts: [texts, options],
    })),
    {
      name: "recontext",
      args: ["d", { row: "{id}" }, { onProgress: silent, rowsPerSecond: 1, dryRun: true, contextTypes: {}, leaveUnopened: true }],
      accepts: [texts, ["undefined", "empty object", "object with an unknown property"], options],
    },
    { name: "takeCensus", args: ["d", new AbortController().signal], accepts: [texts, ["undefined"]] },
    { name: "census", args: ["k"], accepts: [texts] },
    { name: "find", args: ["d", "i", ["x"], { limit: 1 }], accepts: [texts, texts, ["array"], options] },
    { name: "tokensMany", args: [[{ dataset: "d", index: "i", values: ["x"] }]] },
    { name: "tokens", args: ["d", "i", ["x"]], accepts: [texts, texts, ["array"]] },
    { name: "recordDefinition", args: ["d"], accepts: [texts] },
    { name: "planIndex", args: ["d", { columns: ["a"], kind: "exact", normalisers: ["text"] }], accepts: [texts] },
  ],
  jobs: [
    { name: "list", args: [] },
    ...["show", "pause", "cancel"].map((name) => ({ name, args: ["d"], accepts: [texts] })),
    {
      name: "resume",
      args: [
        "d",
        {
          onProgress: silent,
          onProblems: silent,
          signal: new AbortController().signal,
          rowsPerSecond: 1,
          latencyGuard: 2,
          problemLimit: 1,
        },
      ],
      accepts: [texts, options],
    },
  ],
  policies: [
    { name: "list", args: [] },
    { name: "roles", args: [] },
    { name: "show", args: ["aaaaaaaaaaaaaaaa"], accepts: [texts] },
    { name: "create", args: [{ effect: "allow", subject: "*", actions: ["*"], description: "" }] },
    {
      name: "set",
      args: ["aaaaaaaaaaaaaaaa", { effect: "allow", subject: "*", actions: ["*"] }, { ifMatch: "x" }],
      accepts: [texts, [], options],
    },
    { name: "remove", args: ["aaaaaaaaaaaaaaaa", { ifMatch: "x" }], accepts: [texts, options] },
    {
      name: "explain",
      args: ["os-user:anna", "keys.list", { key: "k", purpose: "pii", dataset: "d", context: {}, also: [] }],
      accepts: [[], [], options],
    },
  ],
  principals: [
    { name: "list", args: [] },
    { name: "show", args: ["os-user:anna"], accepts: [texts] },
    {
      name: "set",
      args: ["os-user:anna", { roles: [], disabled: false, description: "" }, { ifMatch: "x" }],
      accepts: [[], ["empty object"], options],
    },
    { name: "remove", args: ["os-user:anna", { ifMatch: "x" }], accepts: [texts, options] },
  ],
  tokens: [
    { name: "list", args: [] },
    { name: "create", args: [{ name: "x", roles: [], scope: {}, expiresAt: new Date(0) }] },
    { name: "revoke", args: ["aaaaaaaaaaaaaaaa"], accepts: [texts] },
  ],
  approvals: [
    { name: "list", args: [{ state: "pending" }], accepts: [options] },
    { name: "show", args: ["aaaaaaaaaaaaaaaa"], accepts: [texts] },
    ...["approve", "reject"].map((name) => ({ name, args: ["aaaaaaaaaaaaaaaa", { reason: "x" }], accepts: [texts, options] })),
  ],
  backgroundJobs: [
    { name: "start", args: ["d", { kind: "protect", options: {} }], accepts: [texts] },
    { name: "watch", args: ["d", new AbortController().signal], accepts: [texts] },
  ],
  audit: [
    { name: "acceptRestoredStore", args: [] },
    { name: "flush", args: [] },
    { name: "recover", args: [] },
    { name: "signers", args: [] },
    { name: "verify", args: [{ pinnedKeys: [] }], accepts: [options] },
    { name: "show", args: [auditFilter], accepts: [options] },
    { name: "page", args: [{ ...auditFilter, after: "x" }], accepts: [options] },
    { name: "report", args: [{ from: dates.activateAt, to: dates.expiresAt }], accepts: [options] },
    {
      name: "export",
      args: [{ since: dates.activateAt, until: dates.expiresAt }, silent],
      accepts: [["empty object"], ["function"]],
    },
    { name: "archive", args: [{ until: dates.activateAt, file: "archive.jsonl", reason: "x" }] },
    { name: "close", args: [] },
  ],
  doctor: [
    { name: "examine", args: [] },
    { name: "readiness", args: [] },
  ],
  handle: [
    ...["encrypt", "encryptBytes"].map((name) => ({ name, args: ["x", {}], accepts: [textAndBytes, contexts] })),
    ...["decrypt", "decryptText", "decryptValue"].map((name) => ({ name, args: [sealedText, {}], accepts: [[], contexts] })),
    ...["encryptValue", "encryptValueBytes"].map((name) => ({ name, args: ["x", {}], accepts: [anyValue, contexts] })),
    { name: "sealBytes", args: ["value", "text", Buffer.from("x"), {}], accepts: [[], [], ["bytes"], contexts] },
    {
      name: "openBytes",
      args: ["value", { key: "k", version: 1, fingerprint: "aaaaaa", label: "1-aaaaaa", payload: Buffer.alloc(80) }, {}],
      accepts: [[], [], contexts],
    },
    { name: "sealFileKey", args: [Buffer.alloc(32), {}], accepts: [["bytes"], contexts] },
    {
      name: "openFileKey",
      args: [{ key: "k", version: 1, fingerprint: "aaaaaa", label: "1-aaaaaa", payload: Buffer.alloc(80) }, {}],
      accepts: [[], contexts],
    },
    { name: "indexer", args: [spec] },
    { name: "mac", args: ["x"], accepts: [textAndBytes] },
    { name: "verifyMac", args: ["x", "1-aaaaaa.AA"], accepts: [textAndBytes, texts] },
    { name: "sign", args: [Buffer.from("x")], accepts: [["bytes"]] },
    { name: "publicKey", args: [] },
    { name: "prepare", args: [] },
    { name: "refresh", args: [] },
    { name: "close", args: [] },
  ],
};
