import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, inject, it } from "vitest";
import { copyKeystead, initKeystead, type Keystead, type KeysteadOptions, openKeystead, type VersionInfo } from "../../src/index.ts";
import { startChild } from "../support/child.ts";
import { generationOf } from "../support/parts.ts";
import { codeOf, fileStore, openTestKeystead, temporaryFolder, testMasterKeys } from "../support/test-keystead.ts";
import { day, TestClock } from "../support/test-clock.ts";

const newSchema = (): string => `${inject("postgres")}postgres?schema=test_${randomUUID().replaceAll("-", "")}`;
const newFile = (): string => `sqlite:${join(temporaryFolder(), "copy.db")}`;

interface Original {
  readonly folder: string;
  readonly options: KeysteadOptions;
  /** What was sealed under key `k` and key `counted`, and what it opens to. */
  readonly sealed: ReadonlyMap<string, string>;
}

/** A store in a file with keys of every kind, a dataset, destroyed versions, a master key rotation and counts. */
async function newOriginal(clock?: TestClock): Promise<Original> {
  const folder = temporaryFolder();
  const crm = join(folder, "crm.db");
  const table = new DatabaseSync(crm);
  table.exec(
    "create table person (id integer primary key, email text); insert into person values (1, 'a@example.org'), (2, 'b@example.org')",
  );
  table.close();
  const options = { ...fileStore(folder), databases: { crm: `sqlite:${crm}` }, ...(clock !== undefined && { clock }) };
  const keystead = await initKeystead({ ...options, settings: { refreshBound: 20 } });
  const { keys } = keystead;
  await keys.create({ name: "k", purpose: "pii" });
  await keys.create({ name: "counted", purpose: "pii", algorithm: "AES-256-GCM" });
  await keys.create({ name: "mac", purpose: "pii", usage: "mac" });
  const sealed = new Map<string, string>();
  for (const name of ["k", "counted"]) {
    sealed.set(await keystead.encrypt(name, `first ${name}`), `first ${name}`);
    await keys.rotate(name);
    sealed.set(await keystead.encrypt(name, `second ${name}`), `second ${name}`);
  }
  await keys.rotate("k");
  await keys.rotate("k", { activateAt: new Date((clock?.now() ?? Date.now()) + 400 * day) });
  await keys.destroy("k", 4);
  await keys.setAlias("other", "k");
  await keystead.datasets.add("crm.person", {
    database: "crm",
    table: "person",
    keyColumns: ["id"],
    columns: { email: { key: "k" } },
    indexes: {},
  });
  await keystead.datasets.protect("crm.person");
  await keystead.datasets.census("k");
  await keystead.close();
  return { folder, options, sealed };
}

async function assertSame(keystead: Keystead, { sealed }: Original): Promise<void> {
  for (const [text, value] of sealed) expect(await keystead.decryptText(text)).toBe(value);
  expect((await keystead.audit.verify()).findings).toEqual([]);
  expect((await keystead.doctor.examine()).filter(({ status }) => status === "failed")).toEqual([]);
}

describe("copying a store", () => {
  it("goes from SQLite to PostgreSQL and back: everything is there, and keys rotate before they seal", async () => {
    const original = await newOriginal();
    const urls = [original.options.store, newSchema(), newFile()];
    let options = original.options;
    let generation = await generationOf(options);
    const before = await openTestKeystead(options);
    const { versions } = await before.keys.show("other");
    await before.close();
    for (const to of urls.slice(1)) {
      const report = await copyKeystead(options, to, { move: true });
      expect(report).toMatchObject({ keysToRotate: expect.arrayContaining(["counted", "k"]) as string[] });
      expect(await codeOf(openKeystead(options))).toBe("STORE_MOVED");
      options = { ...options, store: to, auditDirectory: join(original.folder, "audit") };
      const next = await generationOf(options);
      expect(next).toBeGreaterThan(generation);
      generation = next;
      const copy = await openTestKeystead(options);
      await assertSame(copy, original);
      const facts = ({ label, state, createdAt }: VersionInfo): unknown => ({ label, state, createdAt });
      expect((await copy.keys.show("other")).versions.slice(0, versions.length).map(facts)).toEqual(versions.map(facts));
      expect(await copy.keys.certificate("k", 4)).toMatchObject({ statement: expect.any(String) as string });
      for (const name of ["k", "counted"]) {
        await expect(copy.encrypt(name, "x")).rejects.toMatchObject({
          code: "STORE_RESTORED",
          message: expect.stringContaining(`run \`keystead keys rotate ${name}\``) as string,
        });
        const { currentVersion } = await copy.keys.rotate(name);
        expect(await copy.encrypt(name, "x")).toMatch(new RegExp(`^ks1:${name}:${String(currentVersion)}-`));
      }
      await copy.keys.create({ name: `new-${String(generation)}`, purpose: "pii" });
      await copy.encrypt(`new-${String(generation)}`, "x");
      expect((await copy.datasets.reencrypt("crm.person")).state).toBe("done");
      const acts = (await copy.audit.show({ limit: 1_000 })).filter(({ action }) => action === "store.copy");
      expect(acts.at(-1)).toMatchObject({ outcome: "allowed", detail: { kind: "move" } });
      await copy.close();
    }
  });

  it("leaves the original as it was when it is no move, and destroys nothing that only the copy counts", async () => {
    const clock = new TestClock();
    const original = await newOriginal(clock);
    const to = newSchema();
    await copyKeystead(original.options, to);
    const [one, other] = [
      await openTestKeystead(original.options),
      await openTestKeystead({ ...original.options, store: to, auditDirectory: join(temporaryFolder(), "audit") }),
    ];
    await assertSame(one, original);
    await assertSame(other, original);
    expect(await one.encrypt("k", "x")).toMatch(/^ks1:k:3-/);
    expect(await codeOf(other.encrypt("k", "x"))).toBe("STORE_RESTORED");
    // Both make a version 5: what one sealed, the other never opens with its own.
    await one.keys.rotate("k");
    await other.keys.rotate("k");
    const [here, there] = [await one.encrypt("k", "x"), await other.encrypt("k", "x")];
    expect([here.slice(0, 8), there.slice(0, 8)]).toEqual(["ks1:k:5-", "ks1:k:5-"]);
    expect([await codeOf(one.decrypt(there)), await codeOf(other.decrypt(here))]).toEqual(["UNKNOWN_FINGERPRINT", "UNKNOWN_FINGERPRINT"]);
    await expect(other.keys.destroy("counted", 1)).rejects.toThrow(/sealed outside datasets/);
  });

  it("stops processes that have the original open within the refresh bound", async () => {
    const original = await newOriginal();
    const running = await openTestKeystead(original.options);
    const handle = await running.open("k");
    handle.encrypt("x");
    await copyKeystead(original.options, newSchema(), { move: true });
    expect(await codeOf(() => handle.encrypt("x"))).toBe("STORE_MOVED");
    await expect(running.keys.rotate("k")).rejects.toMatchObject({
      code: "STORE_MOVED",
      message: expect.stringMatching(/moved to postgresql:/) as string,
    });
  });

  it("refuses a place that is taken, and an original that somebody changed; the original goes on", async () => {
    const original = await newOriginal();
    const taken = await newOriginal();
    expect(await codeOf(copyKeystead(original.options, taken.options.store, { move: true }))).toBe("STORE_EXISTS");
    expect(await codeOf(copyKeystead(original.options, original.options.store, { move: true }))).toBe("STORE_EXISTS");
    expect(await codeOf(copyKeystead(original.options, "memory:"))).toBe("INVALID_ARGUMENT");
    const closed = `postgresql://postgres@127.0.0.1:1/postgres`;
    for (const place of [closed, `sqlite:${join(original.folder, "nowhere", "copy.db")}`])
      await expect(copyKeystead(original.options, place, { move: true })).rejects.toThrow(/^the place for the copy can't be used: /);
    await (await openKeystead(original.options)).close();
    const database = new DatabaseSync(join(original.folder, "keystead.db"));
    database.exec("update keys set purpose = 'general' where name = 'k'");
    database.close();
    const to = newSchema();
    expect(await codeOf(copyKeystead(original.options, to, { move: true }))).toBe("STORE_TAMPERED");
    expect(await codeOf(openKeystead({ store: to, masterKeys: testMasterKeys }))).toBe("STORE_NOT_FOUND");
  });

  it("lets one of two copies at once have the place", async () => {
    const { options } = await newOriginal();
    const to = newSchema();
    const ends = await Promise.all([1, 2].map(() => codeOf(copyKeystead(options, to))));
    expect(ends.sort()).toEqual(["STORE_EXISTS", "no error"]);
    await (await openKeystead({ ...options, store: to, auditDirectory: join(temporaryFolder(), "audit") })).close();
  });

  it("leaves no half store when it is killed, wherever; running it again moves the store", async () => {
    const original = await newOriginal();
    const { store } = original.options;
    const program = new URL("copying-process.ts", import.meta.url);
    const ends: string[] = [];
    for (const lines of [1, 2, 3, 5, 8, 13]) {
      const to = newSchema();
      const child = startChild(program, [store, to]);
      for (let read = 0; read < lines; read += 1) await child.nextLine();
      await child.kill();
      // What was killed after its end has left a whole one.
      ends.push(await codeOf(openTestKeystead({ ...original.options, store: to, auditDirectory: join(temporaryFolder(), "audit") })));
    }
    expect(ends.slice(0, 3)).toEqual(["STORE_NOT_FOUND", "STORE_NOT_FOUND", "STORE_NOT_FOUND"]);
    expect(ends.filter((end) => end !== "STORE_NOT_FOUND" && end !== "no error")).toEqual([]);
    const to = newSchema();
    expect((await startChild(program, [store, to]).finish()).at(-1)).toBe("moved");
    const moved = await openTestKeystead({ ...original.options, store: to, auditDirectory: join(original.folder, "audit") });
    await assertSame(moved, original);
  });
});
