import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { FieldValue } from "../../src/crypto/typed-value.ts";
import { isProblem } from "../../src/keys/data-acts.ts";
import { entityTag } from "../../src/keys/entity-tag.ts";
import { codeOf, temporaryFolder } from "../support/test-keystead.ts";
import { apiPlaces } from "../support/api-places.ts";

const context = { table: "person", column: "email" };

const values: readonly FieldValue[] = [
  "grüße 😀",
  -0,
  Number.NaN,
  1e300,
  2n ** 80n,
  true,
  new Date("2027-01-31T08:00:00.123Z"),
  Uint8Array.of(0, 255),
  { a: [1, null, "x"] },
  [],
];

describe.each(Object.entries(apiPlaces))("%s", (_, openPlace) => {
  it("keeps keys and their lifecycle", async () => {
    const { api } = await openPlace();
    const key = await api.keys.create({ name: "acme/pii-email", purpose: "pii", tags: { owner: "crm" }, rotationDays: 90 });
    expect(key).toMatchObject({ name: "acme/pii-email", purpose: "pii", usages: ["encrypt"], currentVersion: 1, tags: { owner: "crm" } });
    expect(await codeOf(api.keys.create({ name: "acme/pii-email", purpose: "pii" }))).toBe("NAME_TAKEN");
    expect(await codeOf(api.keys.create({ name: "x", purpose: "none" }))).toBe("UNKNOWN_PURPOSE");
    expect(await codeOf(api.keys.show("nobody"))).toBe("UNKNOWN_KEY");
    expect(await api.keys.show("acme/pii-email")).toEqual(key);
    const rotated = await api.keys.rotate("acme/pii-email", { reason: "yearly" });
    expect(rotated.currentVersion).toBe(2);
    expect((await api.keys.suspend("acme/pii-email", 1, { reason: "incident" })).versions[0]).toMatchObject({ state: "suspended" });
    expect((await api.keys.resume("acme/pii-email", 1)).versions[0]).toMatchObject({ state: "active" });
    await api.keys.setAlias("aktueller Schlüssel/ü?#%", "acme/pii-email");
    expect((await api.keys.show("aktueller Schlüssel/ü?#%")).aliases).toEqual(["aktueller Schlüssel/ü?#%"]);
    await api.keys.removeAlias("aktueller Schlüssel/ü?#%");
    expect(await codeOf(api.keys.show("aktueller Schlüssel/ü?#%"))).toBe("UNKNOWN_KEY");
    await api.keys.deactivate("acme/pii-email", 1);
    expect(await api.keys.destroy("acme/pii-email", 1, { reason: "retired" })).toMatchObject({ status: "scheduled" });
    await api.keys.cancelDestroy("acme/pii-email", 1);
    expect(await codeOf(api.keys.destroy("acme/pii-email", 9))).toBe("UNKNOWN_KEY_VERSION");
    expect(await codeOf(api.keys.certificate("acme/pii-email", 1))).toBe("KEY_STATE");
    expect(await api.keys.usage("acme/pii-email", 1)).toMatchObject({ sealsOutsideDatasets: 0, refusals: 0, lastOpenedAt: null });
    expect((await api.keys.list({ purpose: "pii" })).map(({ name }) => name)).toEqual(["acme/pii-email"]);
  });

  it("changes what it was shown, and nothing else", async () => {
    const { api } = await openPlace();
    const shown = await api.keys.create({ name: "k", purpose: "pii" });
    const changed = await api.keys.set("k", { tags: { a: "b" }, rotationDays: 7 }, { ifMatch: entityTag(shown) });
    expect(changed).toMatchObject({ tags: { a: "b" }, rotationDays: 7 });
    expect(await codeOf(api.keys.set("k", { tags: {} }, { ifMatch: entityTag(shown) }))).toBe("PRECONDITION_FAILED");
    expect((await api.keys.set("k", { rotationDays: null })).rotationDays).toBeUndefined();
    const purpose = await api.purposes.create("health", { description: "health data" });
    await api.keys.create({ name: "h", purpose: "health" });
    await api.purposes.set("health", { defaultKey: "h" }, { ifMatch: entityTag(purpose) });
    expect(await codeOf(api.purposes.set("health", { defaultKey: null }, { ifMatch: entityTag(purpose) }))).toBe("PRECONDITION_FAILED");
    expect((await api.purposes.list()).find(({ name }) => name === "health")).toMatchObject({ defaultKey: "h" });
  });

  it("seals and opens text, bytes and values, bound to their context", async () => {
    const { api, engine } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.purposes.set("pii", { defaultKey: "k" });
    const sealed = await api.encrypt({ purpose: "pii" }, "anna@example.org", { context });
    expect(sealed).toMatch(/^ks1:k:1-/);
    expect(await api.decryptText(sealed, { context })).toBe("anna@example.org");
    expect(await engine.decryptText(sealed, { context })).toBe("anna@example.org");
    expect(await codeOf(api.decrypt(sealed))).toBe("DECRYPTION_FAILED");
    expect(await codeOf(api.decrypt("plaintext"))).toBe("MALFORMED_CIPHERTEXT");
    expect(await codeOf(api.encrypt("k", "a\ud800"))).toBe("INVALID_ARGUMENT");
    const bytes = await api.encrypt("k", Uint8Array.of(0, 255, 128));
    expect([...(await api.decrypt(bytes))]).toEqual([0, 255, 128]);
    expect(await codeOf(api.decryptText(bytes))).toBe("DECRYPTION_FAILED");
    for (const value of values) expect(await api.decryptValue(await api.encryptValue("k", value, { context }), { context })).toEqual(value);
    const binary = await engine.encryptBytes("k", "x", { context });
    expect((await api.decrypt(binary, { context })).toString()).toBe("x");
    await api.keys.rotate("k");
    expect(await api.rewrap(sealed, { context })).toMatch(/^ks1:k:2-/);
    expect((await api.rewrap(binary, { context })).subarray(0, 9).toString()).toBe("ks1b:k:2-");
  });

  it("answers batches item by item", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.keys.create({ name: "m", purpose: "pii", usage: "mac" });
    const sealed = await api.encryptMany([
      { target: "k", plaintext: "a", context },
      { target: "unknown", plaintext: "b" },
      { target: "m", plaintext: "c" },
      { target: "k", value: 7n },
    ]);
    expect(sealed.map(outcome)).toEqual(["ok", "UNKNOWN_KEY", "KEY_USAGE", "ok"]);
    const [first = "", , , last = ""] = sealed.map(String);
    const opened = await api.decryptMany([{ ciphertext: first, context }, { ciphertext: first }, { ciphertext: last, typed: true }]);
    expect(opened.map(outcome)).toEqual(["ok", "DECRYPTION_FAILED", "ok"]);
    expect(opened[0]).toMatchObject({ plaintext: Buffer.from("a") });
    expect(opened[2]).toMatchObject({ value: 7n });
    expect((await api.rewrapMany([{ ciphertext: first, context }, { ciphertext: "x" }])).map(outcome)).toEqual([
      "ok",
      "MALFORMED_CIPHERTEXT",
    ]);
    expect(await codeOf(api.encryptMany(Array.from({ length: 1001 }, () => ({ target: "k", plaintext: "x" }))))).toMatch(
      /^(?:TOO_LARGE|INVALID_ARGUMENT)$/,
    );
    const tags = await api.macMany([
      { target: "m", data: "x" },
      { target: "k", data: "x" },
    ]);
    expect(tags.map(outcome)).toEqual(["ok", "KEY_USAGE"]);
    const tag = typeof tags[0] === "string" ? tags[0] : "";
    expect(
      await api.verifyMacMany([
        { target: "m", data: "x", tag },
        { target: "m", data: "y", tag },
      ]),
    ).toEqual([true, false]);
  });

  it("shows a field for a reason, one or many, and records why", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    const sealed = await api.encrypt("k", "078-05-1120", { context });
    const typed = await api.encryptValue("k", new Date("2027-01-31T08:00:00.123Z"), { context });
    const bytes = await api.encrypt("k", Uint8Array.of(0, 255), { context });
    const { currentVersion, versions } = await api.keys.show("k");
    const header = { key: "k", version: currentVersion, label: versions[0]?.label };
    const reason = "ticket 4711";
    expect(await api.reveal(sealed, { context, reason })).toEqual({ text: "078-05-1120", masked: false, ...header });
    expect(await api.reveal(typed, { context, reason })).toEqual({ text: "2027-01-31T08:00:00.123Z", masked: false, ...header });
    expect(await codeOf(api.reveal(sealed, { context }))).toBe("REASON_REQUIRED");
    expect(await codeOf(api.reveal(sealed, { reason }))).toBe("DECRYPTION_FAILED");
    expect(await codeOf(api.reveal(bytes, { context, reason }))).toBe("DECRYPTION_FAILED");
    expect(await codeOf(api.reveal("x", { reason }))).toBe("MALFORMED_CIPHERTEXT");
    for (const wrong of ["", "x".repeat(501), "a\nb"])
      expect(await codeOf(api.reveal(sealed, { context, reason: wrong }))).toBe("INVALID_ARGUMENT");
    const items = [{ ciphertext: sealed, context }, { ciphertext: sealed }, { ciphertext: "x" }];
    const shown = await api.revealMany(items, { reason });
    expect(shown.map(outcome)).toEqual(["ok", "DECRYPTION_FAILED", "MALFORMED_CIPHERTEXT"]);
    expect(shown[0]).toEqual({ text: "078-05-1120", masked: false, ...header });
    expect((await api.revealMany(items.slice(0, 1))).map(outcome)).toEqual(["REASON_REQUIRED"]);
    const records = await api.audit.show({ action: "data.reveal", key: "k", limit: 100 });
    expect(records[0]).toMatchObject({ outcome: "allowed", reason, context, version: header.label, detail: { shown: "plain" } });
    expect(records[2]).toMatchObject({ outcome: "failed", code: "REASON_REQUIRED" });
    expect(records.at(-2)).toMatchObject({ outcome: "allowed", reason, detail: { items: 3, failed: 2, plain: 1, masked: 0 } });
    expect(JSON.stringify(records)).not.toContain("1120");
  });

  it("explains masks, and keeps them", async () => {
    const { api } = await openPlace();
    const input = { effect: "allow", subject: "role:clerk", actions: ["data.reveal"], mask: "***-{last:4}" } as const;
    const { id } = await api.policies.create(input);
    expect(await api.policies.show(id)).toMatchObject(input);
    expect(await api.policies.explain("role:clerk", "data.reveal")).toMatchObject({
      outcome: "masked",
      policy: id,
      masked: { policy: id, mask: "***-{last:4}" },
      considered: [{ policy: id, applies: true, mask: "***-{last:4}" }],
    });
    for (const wrong of [
      { mask: "{last:40}" },
      { actions: ["data.*"] },
      { actions: ["data.reveal", "data.decrypt"] },
      { effect: "deny" as const },
    ])
      expect(await codeOf(api.policies.create({ ...input, ...wrong }))).toBe("INVALID_ARGUMENT");
  });

  it("makes data keys, tags, hashes and random bytes", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.keys.create({ name: "m", purpose: "pii", usage: "mac" });
    const { ciphertext, plaintext } = await api.dataKeys.create("k", { context, bytes: 16 });
    expect(plaintext).toHaveLength(16);
    expect(await api.dataKeys.open(ciphertext, { context })).toEqual(plaintext);
    expect(await codeOf(api.dataKeys.open(ciphertext))).toBe("DECRYPTION_FAILED");
    expect(Object.keys(await api.dataKeys.create("k", { plain: false }))).toEqual(["ciphertext"]);
    const [made] = await api.dataKeys.createMany([{ target: "k" }]);
    expect(outcome(made)).toBe("ok");
    const tag = await api.mac("m", Uint8Array.of(1, 2));
    expect(await api.verifyMac("m", Uint8Array.of(1, 2), tag)).toBe(true);
    expect(await api.verifyMac("m", "x", tag)).toBe(false);
    expect((await api.hash("abc")).toString("hex")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(await api.hashMany([{ data: "abc", algorithm: "SHA-512" }])).toHaveLength(1);
    expect(await api.randomBytes(33)).toHaveLength(33);
    expect((await api.randomBytesMany([{ bytes: 1 }, { bytes: 2 }])).map((bytes) => (isProblem(bytes) ? -1 : bytes.length))).toEqual([
      1, 2,
    ]);
  });

  it("keeps routes, KEKs and settings", async () => {
    const { api } = await openPlace();
    expect(await api.routes.list()).toEqual([{ kekUri: "local:main" }]);
    expect(await api.keks.list()).toMatchObject([{ uri: "local:main", available: true }]);
    expect(await api.keks.test("local:main")).toEqual({ available: true });
    expect(await api.keks.test("local:elsewhere")).toHaveProperty("problem");
    expect(await codeOf(api.routes.set({ purpose: "pii" }, "local:elsewhere"))).toBe("UNKNOWN_KEK");
    expect(await api.routes.set({ purpose: "pii" }, "local:main")).toMatchObject({ purpose: "pii" });
    expect((await api.settings.set("destructionWaitingDays", 30)).destructionWaitingDays).toBe(30);
    expect(await codeOf(api.settings.set("destructionWaitingDays", 1000))).toBe("INVALID_ARGUMENT");
    expect((await api.settings.list()).destructionWaitingDays).toBe(30);
  });

  it("protects a table, moves it, and finds what is in it", async () => {
    const file = join(temporaryFolder(), "crm.db");
    const { api } = await openPlace({ crm: `sqlite:${file}` });
    makePersons(file);
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.keys.create({ name: "i", purpose: "pii", usage: "blind-index" });
    const definition = {
      database: "crm",
      table: "person",
      keyColumns: ["id"],
      columns: { email: { key: "k" } },
      indexes: { email: { columns: ["email"], column: "email_index", key: "i", kind: "exact", normalisers: ["email"], bits: 32 } },
    };
    expect(await api.datasets.add("crm.person", definition)).toMatchObject({ name: "crm.person", rows: 50 });
    expect(await codeOf(api.datasets.add("crm.person", definition))).toBe("NAME_TAKEN");
    expect(await codeOf(api.datasets.add("x", { ...definition, database: "elsewhere" }))).toBe("UNKNOWN_DATABASE");
    const progress: number[] = [];
    const result = await api.datasets.protect("crm.person", { onProgress: ({ scanned }) => progress.push(scanned) });
    expect(result).toMatchObject({
      state: "done",
      kind: "protect",
      progress: { replaced: 50, problems: 0 },
      census: { dataset: "crm.person" },
    });
    expect(progress.at(-1)).toBe(50);
    expect(await api.datasets.find("crm.person", "email", ["PERSON7@example.org"])).toMatchObject({
      complete: true,
      rows: [{ row: { id: "7" }, values: { email: "person7@example.org" } }],
    });
    expect(await api.datasets.tokens("crm.person", "email", ["person7@example.org"])).toMatchObject([
      { column: "email_index", tokens: [expect.any(String)] },
    ]);
    await api.keys.rotate("k");
    expect((await api.datasets.reencrypt("crm.person", { rowsPerSecond: 100_000 })).progress).toMatchObject({ replaced: 50 });
    const [old, current] = await api.datasets.census("k");
    expect([old?.count, current?.count]).toEqual([0, 50]);
    expect((await api.datasets.takeCensus("crm.person")).columns).toMatchObject([{ plaintext: 0, nulls: 0 }]);
    expect(await api.jobs.show("crm.person")).toMatchObject({ kind: "reencrypt", state: "done" });
    expect(await api.jobs.list()).toHaveLength(2);
    expect(await codeOf(api.jobs.pause("crm.person"))).toBe("CONFLICT");
    expect(await codeOf(api.datasets.verify("elsewhere"))).toBe("UNKNOWN_DATASET");
    expect((await api.datasets.list()).map(({ name }) => name)).toEqual(["crm.person"]);
  });

  it("pauses a job when its caller stops, and goes on with it", async () => {
    const file = join(temporaryFolder(), "crm.db");
    const { api } = await openPlace({ crm: `sqlite:${file}` });
    makePersons(file, 3000);
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns: { email: { key: "k" } } });
    const stop = new AbortController();
    const options = { rowsPerSecond: 500, signal: stop.signal, onProgress: () => stop.abort() };
    expect(await api.datasets.protect("crm.person", options)).toMatchObject({ state: "paused" });
    const { id, state } = await api.jobs.show("crm.person");
    expect(state).toBe("paused");
    expect(await api.jobs.resume("crm.person", { rowsPerSecond: 1_000_000 })).toMatchObject({ id, state: "done" });
    expect((await api.datasets.takeCensus("crm.person")).columns).toMatchObject([{ plaintext: 0 }]);
  });

  it("tells what was done, by whom, and that it holds", async () => {
    const { api } = await openPlace();
    await api.keys.create({ name: "k", purpose: "pii" });
    await api.keys.rotate("k", { reason: "yearly" });
    expect(await codeOf(api.keys.rotate("nobody"))).toBe("UNKNOWN_KEY");
    expect(await api.audit.show({ action: "keys.rotate" })).toMatchObject([
      { action: "keys.rotate", outcome: "allowed", key: "k", reason: "yearly" },
      { action: "keys.rotate", outcome: "failed", code: "UNKNOWN_KEY" },
    ]);
    const { records, next } = await api.audit.page({ limit: 1, key: "k" });
    expect(records).toHaveLength(1);
    expect(next === undefined ? [] : (await api.audit.page({ limit: 1, key: "k", after: next })).records).toHaveLength(1);
    expect((await api.audit.report()).byAction).toContainEqual({ name: "keys.rotate", count: 2 });
    const signers = await api.audit.signers();
    expect(signers).toHaveLength(1);
    expect((await api.audit.verify({ pinnedKeys: signers.map(({ publicKey }) => publicKey) })).findings).toEqual([]);
  });
});

function outcome(item: unknown): string {
  return isProblem(item) ? item.problem.code : "ok";
}

function makePersons(file: string, rows = 50): void {
  const database = new DatabaseSync(file);
  database.exec("create table person (id integer primary key, email text, email_index text)");
  const insert = database.prepare("insert into person (id, email) values (?, ?)");
  database.exec("begin");
  for (let id = 1; id <= rows; id += 1) insert.run(id, `person${String(id)}@example.org`);
  database.exec("commit");
  database.close();
}
