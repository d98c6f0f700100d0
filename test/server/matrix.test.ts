import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { FastifyInstance, LightMyRequestResponse } from "fastify";
import { expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { decide } from "../../src/access/decide.ts";
import { builtInRoles, rolePolicies } from "../../src/access/roles.ts";
import type { AuditRecordView } from "../../src/audit/newest-records.ts";
import type { AnyRoute } from "../../src/api/route.ts";
import { routes } from "../../src/api/routes.ts";
import type { Keystead } from "../../src/keystead.ts";
import { registerSecret } from "../setup/canary.ts";
import { temporaryFolder } from "../support/test-keystead.ts";
import { type Sample, sampleDataset, type SampleKey, samples } from "./support/route-samples.ts";
import { callerNamed, serveEngine } from "./support/served-engine.ts";

/** Every role, nobody's, and one that a policy gives everything to on one key alone. */
const roles = [...builtInRoles.map(({ name }) => name), "nothing", "narrow"];
const narrow = {
  id: "narrow",
  effect: "allow",
  subject: "role:narrow",
  actions: ["*"],
  scope: { keys: ["other", "alias-other"] },
  description: "",
} as const;

interface Attempt {
  readonly what: string;
  readonly action: string;
  readonly isAllowed: boolean;
  readonly answer: LightMyRequestResponse;
}

/** A dataset that is there, with rows, an index and a column of plaintext beside its ciphertext. */
async function addDataset(keystead: Keystead, database: DatabaseSync): Promise<void> {
  database.exec(
    "CREATE TABLE person (id INTEGER PRIMARY KEY, email TEXT, email_index TEXT, email_index_2 TEXT, phone TEXT, phone_sealed TEXT, other TEXT)",
  );
  database.exec("INSERT INTO person (email, phone) VALUES ('anna@mail.example', '+49 30 1'), ('berta@mail.example', '+49 30 2')");
  await keystead.keys.create({ name: "columns", purpose: "pii" });
  await keystead.keys.create({ name: "lookup", purpose: "pii", usage: "blind-index" });
  const columns = { email: { key: "columns" }, phone: { key: "columns", column: "phone_sealed", plaintext: "phone" } };
  const email = { columns: ["email"], column: "email_index", key: "lookup", kind: "exact", normalisers: ["text"], bits: 8 };
  await keystead.datasets.add(sampleDataset, { database: "crm", table: "person", keyColumns: ["id"], columns, indexes: { email } });
  await keystead.datasets.protect(sampleDataset);
}

async function sampleKey(keystead: Keystead, key: string): Promise<SampleKey> {
  await keystead.keys.create({ name: key, purpose: "pii" });
  const { ciphertext } = await keystead.dataKeys.create(key, { plain: false });
  return { key, ciphertext: await keystead.encrypt(key, "x"), dataKey: ciphertext };
}

function send(
  server: FastifyInstance,
  route: AnyRoute,
  { params = {}, query = {}, body }: Sample,
  token?: string,
): Promise<LightMyRequestResponse> {
  const { method, path, stream } = route;
  const url = path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ""));
  const type = stream === "ndjson" ? "application/x-ndjson" : "application/json";
  return server.inject({
    method,
    url,
    query: { ...query },
    headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...(body !== undefined && { "content-type": type }) },
    ...(body !== undefined && { payload: JSON.stringify(body) + (stream === "ndjson" ? "\n" : "") }),
  });
}

/**
 * Orders that the dataset refuses by how it stands: no other context is under way, the first generation is searched already, and so is the
 * column, once a job that may still run has ended.
 */
const refusedByState: ReadonlySet<string> = new Set([
  "/v1/datasets/:dataset/columns/:column/cut-over",
  "/v1/datasets/:dataset/recontext",
  "/v1/datasets/:dataset/indexes/:index/generations/:generation/cut-over",
]);

/** A request as it is, and as a batch of one item where the route takes those. */
function variantsOf(route: AnyRoute, sample: Sample): readonly Sample[] {
  const { body } = sample;
  if (route.stream !== undefined || route.tag !== "data" || typeof body !== "object" || body === null) return [sample];
  const { reason, ...item }: { readonly reason?: unknown } = body;
  return [sample, { ...sample, body: { items: [item], ...(reason !== undefined && { reason }) } }];
}

/** Refused by its status, or by that of its one item or line. */
function isDenied({ statusCode, body }: LightMyRequestResponse, { stream, path }: AnyRoute, isBatch: boolean): boolean {
  const isByItem = isBatch || stream === "ndjson" || path === "/v1/leases/renew";
  if (!isByItem || statusCode !== 200) return statusCode === 403;
  return body.includes('"problem":{"code":"ACCESS_DENIED","status":403');
}

/** Every record with a request, by its id. */
async function recordsByRequest(keystead: Keystead): Promise<Map<unknown, AuditRecordView[]>> {
  const found = new Map<unknown, AuditRecordView[]>();
  for (let after: string | undefined; ;) {
    const { records, next } = await keystead.audit.page({ limit: 1_000, ...(after !== undefined && { after }) });
    for (const record of records) {
      const { request } = record;
      const id: unknown = typeof request === "object" && request !== null && "id" in request ? request.id : request;
      found.set(id, [...(found.get(id) ?? []), record]);
    }
    if (next === undefined) return found;
    after = next;
  }
}

it("each role may do on each route what its policies say, and each attempt leaves one record", { timeout: 300_000 }, async () => {
  const callers = Object.fromEntries(roles.map((role) => [role, callerNamed(role, role)]));
  const file = join(temporaryFolder(), "crm.db");
  const database = new DatabaseSync(file, { timeout: 10_000 });
  onTestFinished(() => database.close());
  const { keystead, server } = await serveEngine(callers, { databases: { crm: `sqlite:${file}` }, clock: systemClock });
  await addDataset(keystead, database);
  await keystead.policies.create({ effect: "allow", subject: "role:narrow", actions: ["*"], keys: ["other", "alias-other"] });
  const keys = [await sampleKey(keystead, "own"), await sampleKey(keystead, "other")];
  const attempts: Attempt[] = [];
  const wrong: string[] = [];
  const made = new Map(Object.entries(samples));
  for (const route of routes) {
    const sampleOf = made.get(`${route.method} ${route.path}`);
    if (sampleOf === undefined) throw new Error(`${route.path} has no sample`);
    for (const key of keys) {
      for (const sample of variantsOf(route, sampleOf(key))) {
        const isBatch = typeof sample.body === "object" && sample.body !== null && "items" in sample.body;
        const stranger = await send(server, route, sample);
        if (stranger.statusCode !== 401) wrong.push(`${route.path}: nobody gets ${String(stranger.statusCode)}`);
        attempts.push({ what: `nobody ${route.path}`, action: route.action ?? "", isAllowed: false, answer: stranger });
        for (const role of roles) {
          const names = new Set([`oidc:main:${role}`, "*", `role:${role}`]);
          const { outcome } = decide([...rolePolicies, narrow], { names }, route.action ?? "", sample.asks ?? {}, 0);
          const answer = await send(server, route, sample, role);
          const isAllowed = outcome === "allow";
          const what = `${role} ${route.method} ${route.path} ${key.key}${isBatch ? " as a batch" : ""}`;
          if (
            isDenied(answer, route, isBatch) === isAllowed ||
            answer.statusCode === 401 ||
            answer.statusCode >= 500 ||
            (answer.statusCode === 400 && !refusedByState.has(route.path))
          )
            wrong.push(`${what}: ${outcome}, but ${String(answer.statusCode)} ${answer.body.slice(0, 200)}`);
          if (route.path === "/v1/tokens" && answer.statusCode === 201) registerSecret(answer.json<{ token: string }>().token);
          attempts.push({ what, action: route.action ?? "", isAllowed, answer });
        }
      }
    }
  }
  const records = await recordsByRequest(keystead);
  for (const { what, action, isAllowed, answer } of attempts) {
    const of = records.get(answer.headers["x-request-id"]) ?? [];
    const [record] = of;
    if (of.length !== 1 || record?.["action"] !== action || (record["outcome"] === "denied") === isAllowed)
      wrong.push(
        `${what}: ${action} ${String(isAllowed)}, records ${JSON.stringify(of.map(({ action: told, outcome }) => [told, outcome]))}`,
      );
  }
  expect(wrong).toEqual([]);
});

it("nothing is asked and recorded where machines watch", async () => {
  const { keystead, server } = await serveEngine({});
  for (const url of ["/livez", "/readyz", "/v1/version", "/openapi.json"]) expect((await server.inject({ url })).statusCode).toBe(200);
  expect([...(await recordsByRequest(keystead)).keys()]).toEqual([undefined]);
});
