import { DatabaseSync } from "node:sqlite";
import { inspect } from "node:util";
import { expect, it } from "vitest";
import { assertArguments, object, optional, text } from "../../src/arguments.ts";
import { KeysteadError } from "../../src/errors.ts";
import { defineFields } from "../../src/fields/field-specification.ts";
import { RecordCipher } from "../../src/fields/record-cipher.ts";
import { createMasterKeyFile } from "../../src/kek/local/master-key-file.ts";
import { initKeystead, type Keystead, openKeystead } from "../../src/keystead.ts";
import { type Method, methods, options as acceptedOptions } from "../support/public-methods.ts";
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
    badArguments({ name: "", args: [{ a: field }], accepts: [["empty object", "undefined"], acceptedOptions] }),
    badArguments({
      name: "",
      args: [{ a: field }, record],
      accepts: [["empty object", "object with an unknown property"], acceptedOptions],
    }),
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

it("a property that does not show hides no unknown one", () => {
  const rules = { options: object<{ readonly context?: string }>({ context: optional(text) }) };
  const options = Object.defineProperty({ contxt: "a" }, "context", { value: "b", enumerable: false });
  expect(() => assertArguments({ options }, rules)).toThrow("options has an unknown property; known are context");
  expect(() => assertArguments({ options: Object.defineProperty({}, "context", { value: "b" }) }, rules)).not.toThrow();
  expect(() => assertArguments({ options: Object.defineProperty({}, "hidden", { value: "b" }) }, rules)).not.toThrow();
});
