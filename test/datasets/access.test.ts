import { describe, expect, it } from "vitest";
import type { AccessControl } from "../../src/access/access-control.ts";
import type { Caller } from "../../src/access/caller.ts";
import type { PolicyInput } from "../../src/access/policy.ts";
import { systemClock } from "../../src/clock.ts";
import { KeysteadError } from "../../src/errors.ts";
import type { Keystead } from "../../src/keystead.ts";
import { codeOf } from "../support/test-keystead.ts";
import { createCrm, personDataset, readColumn } from "./support/crm.ts";

type Call = Pick<Keystead, "datasets" | "jobs" | "backgroundJobs">;

const anna: Caller = { principal: { source: "os-user", id: "anna" } };
const table = "CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT, iban TEXT, email_bi TEXT)";
const index = { columns: ["email"], column: "email_bi", key: "bi", kind: "exact", normalisers: ["email"], bits: 16 };
const dataset = personDataset({ email: "pii", iban: "fin" }, { indexes: { email: index } });

/** A protected dataset, and what Anna sees of it by policies. */
async function createAccess(...policies: readonly Omit<PolicyInput, "subject">[]) {
  const crm = await createCrm(table, { clock: systemClock });
  const { keystead, database } = crm;
  const insert = database.prepare("INSERT INTO person (id, email, iban) VALUES (?, ?, ?)");
  for (let id = 1; id <= 3; id += 1) insert.run(id, `p${String(id)}@mail.example`, `IBAN ${String(id)}`);
  await keystead.datasets.add("crm.person", dataset);
  await keystead.datasets.protect("crm.person");
  for (const policy of policies) await keystead.policies.create({ subject: "os-user:anna", ...policy });
  return { ...crm, mine: keystead.as(anna) };
}

const everything = { effect: "allow", actions: ["*"] } as const;

describe("what is said of a key or of a purpose", () => {
  /** Every act on a dataset that concerns its keys. */
  const acts: Readonly<Record<string, (keystead: Call) => Promise<unknown>>> = {
    protect: ({ datasets }) => datasets.protect("crm.person"),
    reencrypt: ({ datasets }) => datasets.reencrypt("crm.person"),
    verify: ({ datasets }) => datasets.verify("crm.person"),
    index: ({ datasets }) => datasets.index("crm.person"),
    unprotect: ({ datasets }) => datasets.unprotect("crm.person"),
    recontext: ({ datasets }) => datasets.recontext("crm.person", { row: "{id}" }),
    census: ({ datasets }) => datasets.takeCensus("crm.person"),
    "plan an index": ({ datasets }) => datasets.planIndex("crm.person", { columns: ["email"], kind: "exact", normalisers: ["email"] }),
    "add an index": ({ datasets }) => datasets.addIndex("crm.person", "again", { ...index, column: "email_2" }),
    "start a generation": ({ datasets }) => datasets.startGeneration("crm.person", "email", { column: "email_2" }),
    "cut over": ({ datasets }) => datasets.cutOver("crm.person", "email", 1),
    "drop a generation": ({ datasets }) => datasets.dropGeneration("crm.person", "email", 1),
    add: ({ datasets }) => datasets.add("crm.other", dataset),
    show: ({ datasets }) => datasets.show("crm.person"),
    "show what fields need": ({ datasets }) => datasets.recordDefinition("crm.person"),
    "show a job": ({ jobs }) => jobs.show("crm.person"),
    "follow a job": ({ backgroundJobs }) => backgroundJobs.watch("crm.person", AbortSignal.abort()).next(),
    "start a job": ({ backgroundJobs }) => backgroundJobs.start("crm.person", { kind: "unprotect" }),
  };

  it.each(Object.entries(acts))("binds a dataset: %s", async (_, act) => {
    const { keystead, mine, database } = await createAccess(everything, { effect: "deny", actions: ["*"], purposes: ["financial"] });
    const before = readColumn(database, "iban");
    expect(await codeOf(act(mine))).toBe("ACCESS_DENIED");
    const [record] = (await keystead.audit.show({ limit: 1 })).slice(-1);
    expect(record).toMatchObject({ outcome: "denied", key: "fin" });
    expect(readColumn(database, "iban")).toEqual(before);
  });

  it("is good for somebody whose credential is for just those keys: he follows the job that he starts", async () => {
    const { keystead } = await createAccess(everything);
    const mine = keystead.as({ ...anna, scope: { keys: ["pii", "bi", "fin"] } });
    await mine.backgroundJobs.start("crm.person", { kind: "verify" });
    const seen = [];
    for await (const { job } of mine.backgroundJobs.watch("crm.person", AbortSignal.timeout(60_000))) seen.push(job.state);
    expect(seen.at(-1)).toBe("done");
    expect(await codeOf(keystead.as({ ...anna, scope: { keys: ["pii"] } }).jobs.show("crm.person"))).toBe("ACCESS_DENIED");
  });

  it("is asked before anything is told of a dataset that an act does not fit", async () => {
    const { keystead } = await createAccess();
    for (const request of [undefined, { id: "r" }]) {
      const nobody = keystead.as({ principal: { source: "os-user", id: "nobody" }, ...(request && { request }) });
      for (const act of [
        () => nobody.datasets.unprotect("crm.none"),
        () => nobody.datasets.eraseColumn("crm.none", "email"),
        () => nobody.datasets.eraseColumn("crm.person", "none"),
      ])
        expect(await codeOf(act())).toBe("ACCESS_DENIED");
    }
    expect(await keystead.audit.show({ principal: "os-user:nobody" })).toHaveLength(6);
    expect(await codeOf(keystead.datasets.eraseColumn("crm.person", "email"))).toBe("INVALID_ARGUMENT");
  });

  it("allows what is about a dataset's keys alone, by their names or aliases", async () => {
    const keys = ["pii", "bi", "fin"];
    const { keystead, mine } = await createAccess({ effect: "allow", actions: ["datasets.*"], keys });
    expect(await mine.datasets.reencrypt("crm.person")).toMatchObject({ state: "done" });
    await keystead.keys.create({ name: "health", purpose: "pii" });
    await keystead.keys.setAlias("all of it", "health");
    const more = personDataset({ email: "health" }, { table: "more" });
    expect(await codeOf(mine.datasets.add("crm.more", more))).toBe("ACCESS_DENIED");
  });

  it("binds a key that a value names, though the dataset is registered with others", async () => {
    const { keystead, mine, database } = await createAccess({ effect: "allow", actions: ["datasets.*"], keys: ["pii", "bi", "fin"] });
    await keystead.keys.create({ name: "health", purpose: "pii" });
    const context = { dataset: "crm.person", "row.id": "1", column: "email" };
    const foreign = (await keystead.open("health")).encryptValue("diagnosis", context);
    database.prepare("UPDATE person SET email = ? WHERE id = 1").run(foreign);
    const verified = await keystead.datasets.verify("crm.person");
    expect(verified.progress.problems).toBe(0);
    for (const work of ["reencrypt", "unprotect"] as const) {
      const { progress } = await mine.datasets[work]("crm.person");
      expect(progress.firstProblems).toMatchObject([{ column: "email", code: "ACCESS_DENIED" }]);
      expect(readColumn(database, "email").get("1")).toBe(foreign);
    }
    await mine.backgroundJobs.start("crm.person", { kind: "unprotect" });
    await expect.poll(async () => (await keystead.jobs.show("crm.person")).state).not.toBe("running");
    expect(readColumn(database, "email").get("1")).toBe(foreign);
    expect((await keystead.datasets.unprotect("crm.person")).progress.problems).toBe(0);
    expect(readColumn(database, "email").get("1")).toBe("diagnosis");
  });
});

describe("a search", () => {
  const finding = { effect: "allow", actions: ["datasets.find", "data.index"] } as const;

  it("gives the values that the caller may decrypt, says which it holds back, and is recorded with its key", async () => {
    const { keystead, mine } = await createAccess(finding, { effect: "allow", actions: ["data.decrypt"], keys: ["pii"] });
    const { rows, complete } = await mine.datasets.find("crm.person", "email", ["p2@mail.example"]);
    expect(complete).toBe(true);
    expect(rows).toEqual([{ row: { id: "2" }, values: { email: "p2@mail.example" }, unopened: { iban: "ACCESS_DENIED" } }]);
    const label = (await keystead.keys.show("bi")).versions[0]?.label;
    expect(await keystead.audit.show({ action: "datasets.find" })).toMatchObject([
      { key: "bi", version: label, outcome: "allowed", detail: { index: "email", rows: 1, withheld: "iban" } },
    ]);
  });

  it("goes by the context of each row", async () => {
    const conditions = { context: { "row.id": ["2"] } };
    const { mine } = await createAccess(finding, { effect: "allow", actions: ["data.decrypt"], ...conditions });
    const found = async (mail: string): Promise<unknown> => (await mine.datasets.find("crm.person", "email", [mail])).rows[0]?.values;
    expect(await found("p2@mail.example")).toEqual({ email: "p2@mail.example", iban: "IBAN 2" });
    expect(await found("p1@mail.example")).toEqual({});
  });

  it("goes by the key that sealed a value", async () => {
    const { keystead, mine, database } = await createAccess(finding, {
      effect: "allow",
      actions: ["data.decrypt"],
      keys: ["pii", "fin"],
    });
    await keystead.keys.create({ name: "health", purpose: "pii" });
    const context = { dataset: "crm.person", "row.id": "2", column: "iban" };
    const foreign = (await keystead.open("health")).encryptValue("diagnosis", context);
    database.prepare("UPDATE person SET iban = ? WHERE id = 2").run(foreign);
    const [row] = (await mine.datasets.find("crm.person", "email", ["p2@mail.example"])).rows;
    expect(row).toMatchObject({ values: { email: "p2@mail.example" }, unopened: { iban: "ACCESS_DENIED" } });
  });

  it("and its tokens are refused by a rule about the index's key, one by one and in a batch", async () => {
    const { keystead, mine } = await createAccess(finding, { effect: "deny", actions: ["*"], keys: ["bi"] });
    const search = ["p2@mail.example"];
    expect(await codeOf(mine.datasets.find("crm.person", "email", search))).toBe("ACCESS_DENIED");
    expect(await codeOf(mine.datasets.tokens("crm.person", "email", search))).toBe("ACCESS_DENIED");
    const item = { dataset: "crm.person", index: "email", values: search };
    expect(await mine.datasets.tokensMany([item])).toMatchObject([{ problem: { code: "ACCESS_DENIED" } }]);
    const records = await keystead.audit.show({ principal: "os-user:anna" });
    expect(records).toMatchObject(
      ["datasets.find", "data.index", "data.index"].map((action) => ({ action, key: "bi", outcome: "denied" })),
    );
  });

  it("for an index that there is none of asks for every key of the dataset, alone and in a batch", async () => {
    const { mine } = await createAccess(everything, { effect: "deny", actions: ["data.index"], keys: ["**"] });
    const search = { dataset: "crm.person", index: "none", values: ["p1@mail.example"] };
    expect(await codeOf(mine.datasets.tokens(search.dataset, search.index, search.values))).toBe("ACCESS_DENIED");
    expect(await mine.datasets.tokensMany([search])).toMatchObject([{ problem: { code: "ACCESS_DENIED" } }]);
  });

  it("is refused by a rule about a column that it compares", async () => {
    const { keystead, mine } = await createAccess(everything, { effect: "deny", actions: ["*"], keys: ["pii"] });
    expect(await codeOf(mine.datasets.find("crm.person", "email", ["p2@mail.example"]))).toBe("ACCESS_DENIED");
    expect(await keystead.audit.show({ action: "datasets.find" })).toMatchObject([{ key: "pii", outcome: "denied" }]);
  });

  it("can't wait for a second person, whatever asks for one", async () => {
    const access: AccessControl = {
      authorize: (_, action) => {
        if (action === "datasets.find") throw new KeysteadError("APPROVAL_REQUIRED", "two persons");
      },
    };
    const { keystead } = await createCrm(table, { access });
    expect(await codeOf(keystead.datasets.find("crm.person", "email", ["x"]))).toBe("ACCESS_DENIED");
    expect(await keystead.approvals.list()).toEqual([]);
  });

  it("names key and version of the tokens that it makes", async () => {
    const { keystead } = await createAccess();
    const item = { dataset: "crm.person", index: "email", values: ["p2@mail.example"] };
    await keystead.datasets.tokens(item.dataset, item.index, item.values);
    await keystead.datasets.tokensMany([item, { ...item, dataset: "none" }]);
    const version = (await keystead.keys.show("bi")).versions[0]?.label;
    expect(await keystead.audit.show({ action: "data.index" })).toMatchObject([
      { key: "bi", version, detail: { index: "email" } },
      { key: "bi", version, outcome: "allowed" },
      { outcome: "failed" },
    ]);
  });
});

describe("going on with a job", () => {
  it.each([
    ["itself", (keystead: Call) => keystead.jobs.resume("crm.person")],
    ["by itself", (keystead: Call) => keystead.backgroundJobs.start("crm.person", { kind: "resume" })],
  ] as const)("takes the right to begin it, where the caller does it %s", async (_, resume) => {
    const rights = [
      { effect: "allow", actions: ["jobs.*"] },
      { effect: "deny", actions: ["datasets.unprotect"] },
    ] as const;
    const { keystead, mine, database } = await createAccess(...rights);
    const controller = new AbortController();
    await keystead.datasets.unprotect("crm.person", { signal: controller.signal, onProgress: () => controller.abort(), rowsPerSecond: 1 });
    if ((await keystead.jobs.show("crm.person")).state === "running") await keystead.jobs.pause("crm.person");
    const { state } = await keystead.jobs.show("crm.person");
    const before = readColumn(database, "iban");
    expect(state).toBe("paused");
    expect(await codeOf(resume(mine))).toBe("ACCESS_DENIED");
    expect(readColumn(database, "iban")).toEqual(before);
    expect(await codeOf(resume(keystead))).toBe("no error");
  });

  it.each([
    ["itself", (keystead: Call) => keystead.jobs.resume("crm.person")],
    ["by itself", (keystead: Call) => keystead.backgroundJobs.start("crm.person", { kind: "resume" })],
  ] as const)("is approved of for just that job, where the caller does it %s", async (_, resume) => {
    const { keystead, mine, database } = await createAccess(everything, {
      effect: "approve",
      actions: ["datasets.unprotect", "datasets.verify"],
    });
    const stopped = async (kind: "verify" | "unprotect"): Promise<string> => {
      const controller = new AbortController();
      await keystead.datasets[kind]("crm.person", { signal: controller.signal, onProgress: () => controller.abort(), rowsPerSecond: 1 });
      return (await keystead.jobs.show("crm.person")).id;
    };
    const job = await stopped("verify");
    expect(await codeOf(resume(mine))).toBe("APPROVAL_REQUIRED");
    const [approval] = await keystead.approvals.list({ state: "pending" });
    expect(approval).toMatchObject({ action: "jobs.resume", act: { terms: { resumed: { job, kind: "verify" } } } });
    await keystead.approvals.approve(approval?.id ?? "");
    await keystead.jobs.cancel("crm.person");
    await stopped("unprotect");
    const before = readColumn(database, "iban");
    expect(await codeOf(resume(mine))).toBe("APPROVAL_REQUIRED");
    expect(readColumn(database, "iban")).toEqual(before);
  });
});

describe("an act of several steps", () => {
  const shadowed = "CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT, phone TEXT, phone_sealed TEXT)";
  const steps: Readonly<Record<string, readonly [string, (keystead: Call) => Promise<unknown>, (keystead: Call) => Promise<unknown>]>> = {
    "another context": [
      "datasets.recontext",
      ({ datasets }) => datasets.recontext("crm.person", { row: "{id}" }),
      ({ backgroundJobs }) => backgroundJobs.start("crm.person", { kind: "recontext", context: { row: "{id}" } }),
    ],
    "erasing a column": [
      "datasets.erase",
      ({ datasets }) => datasets.eraseColumn("crm.person", "phone"),
      ({ backgroundJobs }) => backgroundJobs.start("crm.person", { kind: "erase-column", column: "phone" }),
    ],
    "looking before a column is erased": [
      "datasets.protect",
      ({ datasets }) => datasets.eraseColumn("crm.person", "phone"),
      ({ backgroundJobs }) => backgroundJobs.start("crm.person", { kind: "erase-column", column: "phone" }),
    ],
  };
  const kinds = ["deny", "approve"] as const;

  it.each(Object.entries(steps).flatMap(([name, step]) => kinds.map((effect) => [name, effect, step] as const)))(
    "asks for each of them at once when it is served: %s, %s",
    async (_, effect, [action, call, start]) => {
      const { keystead, database } = await createCrm(shadowed, { clock: systemClock });
      database.prepare("INSERT INTO person VALUES (1, 'a@mail.example', '+49 30 1', NULL)").run();
      const phone = { key: "fin", column: "phone_sealed", plaintext: "phone" };
      await keystead.datasets.add("crm.person", personDataset({ email: "pii" }, { columns: { email: { key: "pii" }, phone } }));
      await keystead.datasets.protect("crm.person");
      await keystead.datasets.cutOverColumn("crm.person", "phone");
      await keystead.policies.create({ ...everything, subject: "os-user:anna" });
      await keystead.policies.create({ effect, subject: "*", actions: [action] });
      const served = keystead.as({ ...anna, request: { id: "r" } });
      const before = ["email", "phone"].map((column) => readColumn(database, column));
      for (const act of [call, start]) expect(await codeOf(act(served))).toBe(effect === "deny" ? "ACCESS_DENIED" : "APPROVAL_REQUIRED");
      expect((await keystead.jobs.list()).map(({ kind }) => kind)).toEqual(["protect", "protect"]);
      expect(["email", "phone"].map((column) => readColumn(database, column))).toEqual(before);
    },
  );
});
