import { DatabaseSync } from "node:sqlite";
import { inspect } from "node:util";
import { expect, it } from "vitest";
import { KeysteadError } from "../../src/errors.ts";
import { defineFields } from "../../src/fields/field-specification.ts";
import { RecordCipher } from "../../src/fields/record-cipher.ts";
import { createMasterKeyFile } from "../../src/kek/local/master-key-file.ts";
import { initKeystead, type Keystead, openKeystead } from "../../src/keystead.ts";
import { createTestKeystead, fileStore, temporaryFolder } from "../support/test-keystead.ts";

const secret = "not-to-be-repeated";

/** What a program without types may give by mistake. */
const badValues: Readonly<Record<string, unknown>> = {
  undefined,
  null: null,
  number: 42,
  NaN,
  bigint: 42n,
  boolean: true,
  text: secret,
  symbol: Symbol(secret),
  function: () => secret,
  "empty object": {},
  "object with an unknown property": { unknwon: secret },
  array: [secret],
  "array of symbols": [Symbol(secret)],
  Map: new Map([["context", secret]]),
  Date: new Date(0),
  "invalid Date": new Date(NaN),
  bytes: Buffer.from(secret),
};

/** A public method with arguments that are right, and the bad values that are right in a place, too. */
interface Method {
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
const options = ["undefined", "empty object"];
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

const methods: Readonly<Record<string, readonly Method[]>> = {
  keystead: [
    { name: "open", args: ["k", {}], accepts: [target, options] },
    { name: "encrypt", args: ["k", "x", { context: {}, dataset: "d" }], accepts: [target, textAndBytes, options] },
    { name: "encryptBytes", args: ["k", "x", { context: {}, dataset: "d" }], accepts: [target, textAndBytes, options] },
    { name: "encryptValue", args: ["k", "x", { context: {}, dataset: "d" }], accepts: [target, anyValue, options] },
    { name: "decrypt", args: [sealedText, { context: {} }], accepts: [textAndBytes, options] },
    { name: "decryptText", args: [sealedText, { context: {} }], accepts: [textAndBytes, options] },
    { name: "decryptValue", args: [sealedText, { context: {} }], accepts: [textAndBytes, options] },
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
      args: [{ source: "embedded", id: "x" }, "own.act", { key: "k", purpose: "pii", dataset: "d", context: {} }, () => undefined],
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
    { name: "rotate", args: ["local:main", "local:other", () => undefined], accepts: [texts, texts, ["undefined", "function"]] },
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
      args: ["d", { onProgress: () => undefined, signal: new AbortController().signal, rowsPerSecond: 1, dryRun: true }],
      accepts: [texts, options],
    })),
    {
      name: "recontext",
      args: ["d", { row: "{id}" }, { onProgress: () => undefined, rowsPerSecond: 1, dryRun: true, contextTypes: {}, leaveUnopened: true }],
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
          onProgress: () => undefined,
          onProblems: () => undefined,
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
    { name: "signers", args: [] },
    { name: "verify", args: [{ pinnedKeys: [] }], accepts: [options] },
    { name: "show", args: [auditFilter], accepts: [options] },
    { name: "page", args: [{ ...auditFilter, after: "x" }], accepts: [options] },
    { name: "report", args: [{ from: dates.activateAt, to: dates.expiresAt }], accepts: [options] },
    {
      name: "export",
      args: [{ since: dates.activateAt, until: dates.expiresAt }, () => undefined],
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

function call(target: object, name: string, args: readonly unknown[]): unknown {
  const method: unknown = Reflect.get(target, name);
  if (typeof method !== "function") throw new Error(`there is no method ${name}`);
  return Reflect.apply(method, target, args);
}

/** What a call fails with; undefined when it succeeds. */
async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    const result = await work();
    if (typeof result === "object" && result !== null && Symbol.asyncIterator in result) await call(result, "next", []);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** What is wrong with how a call with bad arguments ended; undefined when nothing is. */
async function objection(place: string, work: () => unknown): Promise<string | undefined> {
  const failure = await failureOf(work);
  if (failure === undefined) return `${place} was accepted`;
  if (!(failure instanceof KeysteadError)) return `${place} failed with ${inspect(failure)}`;
  const expected = failure.code === (place.startsWith("handle.") ? failure.code : "INVALID_ARGUMENT") && failure.code !== "INTERNAL";
  if (!expected || failure.message.includes(secret)) return `${place}: ${failure.code} ${failure.message}`;
  return undefined;
}

function isOptions(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** A method's arguments, each in turn replaced by everything that it must not be. */
function* badArguments({ args, accepts = [] }: Method): Generator<readonly [place: string, args: readonly unknown[]]> {
  for (const [index, good] of args.entries()) {
    const accepted = accepts[index] ?? [];
    for (const [what, bad] of Object.entries(badValues)) {
      if (!accepted.includes(what)) yield [`argument ${String(index)}: ${what}`, args.with(index, bad)];
    }
    if (!isOptions(good) || accepted.includes("object with an unknown property")) continue;
    yield [`argument ${String(index)}: one property more`, args.with(index, { ...good, unknwon: secret })];
    for (const name of Object.keys(good))
      yield [`argument ${String(index)}.${name}: symbol`, args.with(index, { ...good, [name]: Symbol(secret) })];
  }
}

/** Everything in a store but its audit. */
function contentsOf(url: string): unknown {
  const database = new DatabaseSync(url.slice("sqlite:".length), { readOnly: true });
  try {
    const tables = database
      .prepare("select name from sqlite_master where type = 'table' and name not like 'audit%' and name <> 'checkpoints'")
      .all();
    return tables.map(({ name }) => [name, database.prepare(`select * from "${String(name)}"`).all()]);
  } finally {
    database.close();
  }
}

async function objectionsTo(targets: Readonly<Record<string, object>>): Promise<string[]> {
  const found: string[] = [];
  for (const [service, target] of Object.entries(targets)) {
    for (const method of methods[service] ?? []) {
      for (const [place, args] of badArguments(method)) {
        const problem = await objection(`${service}.${method.name} ${place}`, () => call(target, method.name, args));
        if (problem !== undefined) found.push(problem);
      }
    }
  }
  return found;
}

function servicesOf(keystead: Keystead): Readonly<Record<string, object>> {
  const { dataKeys, leases, keys, purposes, routes, keks, settings, datasets, jobs, backgroundJobs, audit, doctor } = keystead;
  const { policies, principals, tokens, approvals } = keystead;
  const access = { policies, principals, tokens, approvals };
  return { keystead, dataKeys, leases, keys, purposes, routes, keks, settings, datasets, jobs, backgroundJobs, ...access, audit, doctor };
}

it("every public method refuses what it must not be given by an error that names it and not the value, and changes nothing", async () => {
  const options = fileStore(temporaryFolder());
  const keystead = await initKeystead(options);
  const usages = { k: "encrypt", m: "mac", i: "blind-index", s: "sign" } as const;
  for (const [name, usage] of Object.entries(usages)) await keystead.keys.create({ name, purpose: "pii", usage });
  const handles = await Promise.all(Object.keys(usages).map((name) => keystead.open(name)));
  const before = contentsOf(options.store);
  const found = await objectionsTo(servicesOf(keystead));
  for (const handle of handles) found.push(...(await objectionsTo({ handle })));
  expect(found).toEqual([]);
  expect(contentsOf(options.store)).toEqual(before);
  for (const name of Object.keys(usages)) expect(await keystead.keys.usage(name, 1)).toMatchObject({ sealsOutsideDatasets: 0, opens: 0 });
  await keystead.close();
}, 60_000);

/** Names of the methods of an instance, those that it inherits included. */
function methodsOf(instance: object): string[] {
  const prototype: unknown = Object.getPrototypeOf(instance);
  if (typeof prototype !== "object" || prototype === null || prototype === Object.prototype) return [];
  const own = Object.entries(Object.getOwnPropertyDescriptors(prototype))
    .filter(([name, { value }]) => name !== "constructor" && typeof value === "function")
    .map(([name]) => name);
  return [...new Set([...own, ...methodsOf(prototype)])];
}

it("no public method is missing in the table", async () => {
  const { keystead } = await createTestKeystead();
  await keystead.keys.create({ name: "k", purpose: "pii" });
  for (const [service, target] of Object.entries({ ...servicesOf(keystead), handle: await keystead.open("k") })) {
    const names = methodsOf(target).sort();
    expect((methods[service] ?? []).map(({ name }) => name).sort(), service).toEqual(names);
  }
});

it("a store is not opened with options that it must not be given", async () => {
  const folder = temporaryFolder();
  const good = { ...fileStore(folder), databases: {}, auditDirectory: folder, migrate: false };
  const found: (string | undefined)[] = [];
  for (const open of [openKeystead, initKeystead]) {
    const target = { open };
    for (const [place, args] of badArguments({ name: "open", args: [good] })) {
      found.push(await objection(`${open.name} ${place}`, () => call(target, "open", args)));
    }
    for (const name of ["principal", "access", "clock", "random", "masterKeyFile"]) {
      for (const [what, bad] of Object.entries(badValues)) {
        if (what === "undefined" || (name === "masterKeyFile" && what === "text")) continue;
        found.push(await objection(`${open.name} ${name}: ${what}`, () => call(target, "open", [{ ...good, [name]: bad }])));
      }
    }
    for (const [what, bad] of Object.entries(badValues)) {
      const args = [{ ...good, masterKeys: { main: bad } }];
      found.push(await objection(`${open.name} masterKeys.main: ${what}`, () => call(target, "open", args)));
    }
  }
  expect(found.filter((problem) => problem !== undefined)).toEqual([]);
});

it("fields are not defined by what is no definition", async () => {
  const index = { key: "i", kind: "exact", normaliser: "text", bits: 16, generation: 1, keyVersion: 1 };
  const field = { key: "k", type: "string", form: "text" };
  const record = { datasetId: "d", context: { row: "{id}" }, contextColumns: ["id"] };
  const target = { defineFields };
  const found: (string | undefined)[] = [];
  const cases: Iterable<readonly [string, readonly unknown[]]>[] = [
    badArguments({ name: "", args: [{ a: field }], accepts: [["empty object", "undefined"], options] }),
    badArguments({ name: "", args: [{ a: field }, record], accepts: [["empty object", "object with an unknown property"], options] }),
    [...badArguments({ name: "", args: [field] })].map(([place, args]) => [place, [{ a: args[0] }]] as const),
    [...badArguments({ name: "", args: [index] })].map(
      ([place, args]) => [place, [{ a: { ...field, indexes: { t: args[0] } } }, record]] as const,
    ),
  ];
  for (const bad of cases) {
    for (const [place, args] of bad) found.push(await objection(place, () => call(target, "defineFields", args)));
  }
  expect(found.filter((problem) => problem !== undefined)).toEqual([]);
});

it("an option that nobody knows is not left out without a word", async () => {
  const { keystead } = await createTestKeystead();
  await keystead.keys.create({ name: "k", purpose: "pii" });
  const sealed = await keystead.encrypt("k", "x");
  const mistakes: (() => unknown)[] = [
    () => call(keystead, "encrypt", ["k", "x", { table: "person", row: "42" }]),
    () => call(keystead, "encrypt", ["k", "x", { contxt: { table: "person" } }]),
    () => call(keystead, "encrypt", ["k", "x", "person"]),
    () => call(keystead, "decrypt", [sealed, { table: "person", row: "42" }]),
  ];
  for (const mistake of mistakes) {
    expect(await failureOf(mistake)).toMatchObject({ code: "INVALID_ARGUMENT", message: expect.stringMatching(/context/) as unknown });
  }
  expect(await failureOf(() => call(keystead.keys, "create", [{ name: "l", purpose: "pii", usages: ["sign"] }]))).toMatchObject({
    message: "input has an unknown property; known are name, purpose, usage, algorithm, tags, rotationDays, expiresAt, activateAt",
  });
  expect(await failureOf(() => call(keystead.keys, "create", [{ name: "l" }]))).toMatchObject({ message: "input.purpose must be text" });
  expect(await failureOf(() => call(keystead, "decrypt", [null]))).toMatchObject({ code: "INVALID_ARGUMENT" });
});

it("records and new master key files are refused when they are none", async () => {
  const { keystead } = await createTestKeystead();
  await keystead.keys.create({ name: "k", purpose: "pii" });
  const cipher = new RecordCipher(defineFields({ email: { key: "k", type: "string" } }), { k: await keystead.open("k") });
  for (const bad of [undefined, null, 42, secret]) {
    expect(await failureOf(() => call(cipher, "encrypt", [bad]))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await failureOf(() => call(cipher, "decrypt", [bad]))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await failureOf(() => Promise.resolve(Reflect.apply(createMasterKeyFile, undefined, [bad, bad])))).toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  }
});
