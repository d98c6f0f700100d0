import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it, onTestFinished } from "vitest";
import type { AuditRecordView } from "../../src/audit/newest-records.ts";
import { KeysteadClient } from "../../src/client/keystead-client.ts";
import { systemClock } from "../../src/clock.ts";
import type { Keystead } from "../../src/keystead.ts";
import { codeOf, temporaryFolder } from "../support/test-keystead.ts";
import { callerNamed, clientsOf, portOf, serveEngine, type ServedEngine, type TestCallers } from "./support/served-engine.ts";

type Callers = Record<string, TestCallers[string]>;

const dataset = "crm.person";
const rows = 3_000;
const never = new AbortController().signal;

/** A server with a dataset on which no job ran yet. */
async function servePersons(callers: Callers): Promise<ServedEngine> {
  const file = join(temporaryFolder(), "crm.db");
  const database = new DatabaseSync(file);
  database.exec("CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT)");
  database.exec(`WITH RECURSIVE ids(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < ${String(rows)})
    INSERT INTO person SELECT id, 'person-' || id || '@mail.example' FROM ids`);
  database.close();
  // By the clock of tests a job would not keep to its pace.
  const served = await serveEngine(callers, { databases: { crm: `sqlite:${file}` }, clock: systemClock });
  await served.keystead.keys.create({ name: "email", purpose: "pii" });
  await served.keystead.datasets.add(dataset, {
    database: "crm",
    table: "person",
    keyColumns: ["id"],
    columns: { email: { key: "email" } },
  });
  return served;
}

function protectSlowly({ backgroundJobs }: Keystead): Promise<unknown> {
  return backgroundJobs.start(dataset, { kind: "protect", options: { rowsPerSecond: 10 } });
}

async function restOf<T>(source: AsyncIterable<T>): Promise<T[]> {
  const rest: T[] = [];
  for await (const item of source) rest.push(item);
  return rest;
}

async function looksOf(keystead: Keystead): Promise<readonly AuditRecordView[]> {
  const { records } = await keystead.audit.page({ principal: "oidc:main:anna", action: "jobs.show" });
  return records;
}

it.each([
  ["a new deny", (keystead: Keystead) => keystead.policies.create({ effect: "deny", subject: "oidc:main:anna", actions: ["jobs.*"] })],
  ["that its principal is disabled", (keystead: Keystead) => keystead.principals.set("oidc:main:anna", { disabled: true })],
])("events of a job end with %s, and leave one record of that", async (_, change) => {
  const served = await servePersons({ anna: callerNamed("anna", "operator") });
  const { keystead } = served;
  await keystead.policies.create({ effect: "allow", subject: "role:operator", actions: ["jobs.*"] });
  await protectSlowly(keystead);
  const sightings = (await clientsOf(served))("anna").backgroundJobs.watch(dataset, never);
  expect((await sightings.next()).value).toMatchObject({ job: { state: "running" } });
  await change(keystead);
  expect(await codeOf(restOf(sightings))).toBe("ACCESS_DENIED");
  expect(await looksOf(keystead)).toMatchObject([
    { outcome: "denied", code: "ACCESS_DENIED", dataset },
    { outcome: "allowed", dataset },
  ]);
  const [denied, allowed] = await looksOf(keystead);
  expect(denied?.["request"]).toEqual(allowed?.["request"]);
  await keystead.jobs.cancel(dataset);
});

it("events of a job go on for who needed an approval to look, and had it", async () => {
  const served = await servePersons({ anna: callerNamed("anna", "operator"), berta: callerNamed("berta", "admin") });
  const { keystead } = served;
  await keystead.policies.create({ effect: "allow", subject: "role:operator", actions: ["jobs.*"] });
  await keystead.policies.create({ effect: "approve", subject: "role:operator", actions: ["jobs.show"] });
  const clients = await clientsOf(served);
  const [anna, berta] = [clients("anna"), clients("berta")];
  await protectSlowly(keystead);
  expect(await codeOf(anna.backgroundJobs.watch(dataset, never).next())).toBe("APPROVAL_REQUIRED");
  const [wanted] = await berta.approvals.list();
  await berta.approvals.approve(wanted?.id ?? "");
  const began = systemClock.monotonic();
  for await (const { job } of anna.backgroundJobs.watch(dataset, never)) {
    // Longer than access is not asked for.
    if (systemClock.monotonic() - began > 2_500 && job.state === "running") await keystead.jobs.cancel(dataset);
  }
  expect(await keystead.jobs.show(dataset)).toMatchObject({ state: "cancelled" });
  expect((await looksOf(keystead)).map(({ outcome }) => outcome)).toEqual(["allowed", "denied"]);
});

it("a job is followed on with the next token when one expires, and not with the same", async () => {
  const callers: Callers = { first: callerNamed("anna", "operator"), second: callerNamed("anna", "operator") };
  const served = await servePersons(callers);
  const { keystead } = served;
  await keystead.policies.create({ effect: "allow", subject: "role:operator", actions: ["jobs.*", "datasets.*", "keys.*"] });
  const url = `http://127.0.0.1:${String(await portOf(served))}`;
  const given: string[] = [];
  const next = (): string => {
    const token = callers["first"] === undefined ? "second" : "first";
    given.push(token);
    return token;
  };
  const clients = [next, "first"].map((token) => new KeysteadClient({ url, token, retries: 0 }));
  onTestFinished(async () => {
    await Promise.all(clients.map((client) => client.close()));
  });
  let told = 0;
  const heard = Promise.withResolvers<undefined>();
  const onProgress = (): void => {
    told += 1;
    if (told === 2) heard.resolve(undefined);
  };
  const [renewed, constant] = clients.map((client) => client.datasets.protect(dataset, { rowsPerSecond: 100, onProgress }));
  await heard.promise;
  delete callers["first"];
  expect(await codeOf(constant ?? Promise.resolve())).toBe("UNAUTHENTICATED");
  await expect.poll(() => given.includes("second")).toBe(true);
  const after = told;
  await expect.poll(() => told, { timeout: 5_000 }).toBeGreaterThan(after);
  await keystead.jobs.cancel(dataset);
  expect(await renewed).toMatchObject({ state: "cancelled" });
});
