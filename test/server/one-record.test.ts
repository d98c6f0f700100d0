import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Caller } from "../../src/access/caller.ts";
import type { AuditRecordView } from "../../src/audit/newest-records.ts";
import { routes } from "../../src/api/routes.ts";
import type { Keystead } from "../../src/keystead.ts";
import type { KeysteadCall } from "../../src/keystead/keystead-view.ts";
import { temporaryFolder } from "../support/test-keystead.ts";
import { callerNamed, serveEngine, type ServedEngine } from "./support/served-engine.ts";

/** A row that asks another action than its own, by what the body says. */
interface Other {
  readonly endpoint: string;
  readonly action: string;
  readonly path: string;
  readonly type?: string;
  /** Asks the route's own action. */
  readonly own: unknown;
  /** Asks the other one. */
  readonly other: unknown;
  /** Further action that the other one takes. */
  readonly step?: string;
}

const dataset = "/v1/datasets/crm.person";
const others: readonly Other[] = [
  {
    endpoint: "POST /v1/data-keys",
    action: "data-keys.create",
    path: "/v1/data-keys",
    own: { key: "email" },
    other: { key: "email", plain: false },
  },
  {
    endpoint: "POST /v1/streams/data-keys",
    action: "data-keys.create",
    path: "/v1/streams/data-keys",
    type: "application/x-ndjson",
    own: { key: "email" },
    other: { key: "email", plain: false },
  },
  {
    endpoint: "POST /v1/datasets/:dataset/reencrypt",
    action: "datasets.import",
    path: `${dataset}/reencrypt`,
    own: {},
    other: { from: "none" },
  },
  {
    endpoint: "POST /v1/datasets/:dataset/recontext",
    action: "datasets.set-context",
    path: `${dataset}/recontext`,
    own: {},
    other: { context: { table: "person", row: "{id}" } },
    step: "datasets.recontext",
  },
];

async function servePersons(): Promise<ServedEngine> {
  const file = join(temporaryFolder(), "crm.db");
  const database = new DatabaseSync(file);
  database.exec("CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT, phone TEXT, phone_sealed TEXT)");
  database.exec("INSERT INTO person VALUES (1, 'anna@mail.example', '+49 30 1', NULL)");
  database.close();
  const callers = { own: callerNamed("own", "own"), other: callerNamed("other", "other"), all: callerNamed("all", "all") };
  const served = await serveEngine(callers, { databases: { crm: `sqlite:${file}` } });
  const { keystead } = served;
  await keystead.keys.create({ name: "email", purpose: "pii" });
  const columns = { email: { key: "email" }, phone: { key: "email", column: "phone_sealed", plaintext: "phone" } };
  await keystead.datasets.add("crm.person", { database: "crm", table: "person", keyColumns: ["id"], columns });
  await keystead.policies.create({ effect: "allow", subject: "role:all", actions: ["*"] });
  await keystead.policies.create({ effect: "allow", subject: "role:other", actions: others.map(({ action }) => action) });
  const own = routes.flatMap(({ action, otherActions }) => (otherActions === undefined || action === undefined ? [] : [action]));
  await keystead.policies.create({ effect: "allow", subject: "role:own", actions: own });
  return served;
}

async function recordsOf(keystead: Keystead, request: unknown): Promise<readonly AuditRecordView[]> {
  const { records } = await keystead.audit.page({ request: String(request) });
  return records;
}

describe("a route that asks by what its body says", () => {
  it("is one of those that say so", () => {
    const told = routes.flatMap(({ method, path, otherActions = [] }) => otherActions.map((action) => [`${method} ${path}`, action]));
    expect(told.sort()).toEqual(others.map(({ endpoint, action }) => [endpoint, action]).sort());
  });

  it.each(others)("asks $action in place of its own, and records that: $endpoint", async ({ action, path, type, own, other, step }) => {
    const { keystead, server } = await servePersons();
    const route = routes.find((row) => row.otherActions?.includes(action));
    // Whoever may do the whole may do each step of it.
    if (step !== undefined) await keystead.policies.create({ effect: "allow", subject: "role:other", actions: [step] });
    for (const [token, body, asked, isAllowed] of [
      ["other", other, action, true],
      ["other", own, route?.action, route?.action === step],
      ["own", own, route?.action, true],
      ["own", other, action, false],
    ] as const) {
      const headers = { authorization: `Bearer ${token}`, "content-type": type ?? "application/json" };
      const answer = await server.inject({ method: "POST", url: path, headers, payload: JSON.stringify(body) });
      const isDenied = answer.statusCode === 403 || answer.body.includes('"ACCESS_DENIED"');
      expect([token, asked, isDenied]).toEqual([token, asked, !isAllowed]);
      const records = await recordsOf(keystead, answer.headers["x-request-id"]);
      expect(records.map(({ action: told }) => told)).toEqual([asked]);
      expect(records[0]?.["outcome"] === "denied").toBe(!isAllowed);
    }
  });
});

describe("what a call does in several steps", () => {
  const steps: readonly (readonly [string, (keystead: KeysteadCall) => Promise<unknown>])[] = [
    ["datasets.set-context", ({ datasets }) => datasets.recontext("crm.person", { table: "person", row: "{id}" })],
    ["datasets.recontext", ({ datasets }) => datasets.recontext("crm.person", undefined)],
    ["datasets.cut-over-column", ({ datasets }) => datasets.cutOverColumn("crm.person", "phone")],
    ["datasets.erase-column", ({ datasets }) => datasets.eraseColumn("crm.person", "phone")],
  ];

  it("leaves exactly one record of its caller", async () => {
    const { keystead } = await servePersons();
    await keystead.datasets.protect("crm.person");
    for (const [action, work] of steps.filter(([name]) => name !== "datasets.recontext")) {
      const request = { id: `request-of-${action}` };
      const caller: Caller = { ...callerNamed("all", "all"), request };
      await work(keystead.as(caller));
      const { records } = await keystead.audit.page({ principal: "oidc:main:all", request: request.id });
      expect(records).toMatchObject([{ action, outcome: "allowed", dataset: "crm.person" }]);
    }
  });

  it("leaves one of a failure, too", async () => {
    const { keystead } = await servePersons();
    const request = { id: "going-on" };
    await expect(keystead.as({ ...callerNamed("all", "all"), request }).datasets.recontext("crm.person", undefined)).rejects.toThrow();
    expect(await recordsOf(keystead, request.id)).toMatchObject([{ action: "datasets.recontext", outcome: "failed" }]);
  });

  it("leaves one of a refusal, too", async () => {
    const { keystead } = await servePersons();
    for (const [action, work] of steps) {
      const request = { id: `refused-${action}` };
      await expect(work(keystead.as({ ...callerNamed("nobody"), request }))).rejects.toThrow();
      expect(await recordsOf(keystead, request.id)).toMatchObject([{ action, outcome: "denied", code: "ACCESS_DENIED" }]);
    }
  });
});
