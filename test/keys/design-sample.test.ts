import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it } from "vitest";
import { createMasterKeyFile, initKeystead, isKeysteadError, openKeystead, systemRandom } from "../../src/index.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

const home = process.cwd();
afterEach(() => process.chdir(home));

describe("the library as the design shows it", () => {
  it("does what it says, line by line", async () => {
    process.chdir(temporaryFolder());
    await createMasterKeyFile("./master.key", "main", systemRandom);
    await (await initKeystead({ store: "sqlite:./keystead.db", masterKeyFile: "./master.key", settings: { refreshBound: 100 } })).close();

    const keystead = await openKeystead({
      store: "sqlite:./keystead.db",
      masterKeyFile: "./master.key",
      databases: { crm: "sqlite:./crm.db" },
    });
    await keystead.keys.create({ name: "pii-email", purpose: "pii" });
    const sealed = await keystead.encrypt("pii-email", "anna@example.org", { context: { table: "person", column: "email" } });
    expect(sealed).toMatch(/^ks1:pii-email:1-[a-z2-7]{6}:[A-Za-z0-9_-]+$/);

    const key = await keystead.open("pii-email");
    expect(key.decryptText(sealed, { table: "person", column: "email" })).toBe("anna@example.org");

    const crm = new DatabaseSync("./crm.db");
    crm.exec("CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT)");
    for (let id = 1; id <= 50; id += 1) crm.prepare("INSERT INTO person VALUES (?, ?)").run(id, `${String(id)}@example.org`);
    crm.close();
    await keystead.datasets.add("crm.person", {
      database: "crm",
      table: "person",
      keyColumns: ["id"],
      columns: { email: { key: "pii-email" } },
    });
    await keystead.datasets.protect("crm.person");

    await keystead.keys.rotate("pii-email");
    await keystead.datasets.reencrypt("crm.person");
    const census = await keystead.datasets.census("pii-email");
    const [first, second] = (await keystead.keys.show("pii-email")).versions;
    expect(census).toEqual([
      { version: first?.label, count: 0 },
      { version: second?.label, count: 50 },
    ]);

    // One value was sealed for no dataset: nobody could find it, so the version stays.
    const refusal = await keystead.keys.destroy("pii-email", 1, { reason: "retired" }).catch((error: unknown) => error);
    expect(isKeysteadError(refusal, "VERSION_IN_USE")).toBe(true);
    await keystead.close();
  });

  it("schedules the end of a version that nothing needs, and disposes itself", async () => {
    process.chdir(temporaryFolder());
    await createMasterKeyFile("./master.key", "main", systemRandom);
    await (await initKeystead({ store: "sqlite:./keystead.db", masterKeyFile: "./master.key", settings: { refreshBound: 20 } })).close();
    {
      await using keystead = await openKeystead({ store: "sqlite:./keystead.db", masterKeyFile: "./master.key" });
      await keystead.keys.create({ name: "pii-email", purpose: "pii" });
      await keystead.keys.rotate("pii-email");
      expect(await keystead.keys.destroy("pii-email", 1, { reason: "retired" })).toMatchObject({ status: "scheduled" });
    }
    await using again = await openKeystead({ store: "sqlite:./keystead.db", masterKeyFile: "./master.key" });
    expect((await again.keys.show("pii-email")).versions[0]).toMatchObject({ state: "destruction-pending", stateReason: "retired" });
  });
});
