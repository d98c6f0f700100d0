import { expect, it } from "vitest";
import { z } from "zod";
import type { AnyRoute } from "../../src/api/route.ts";
import { routes } from "../../src/api/routes.ts";
import { formOf } from "../../src/api/schemas/common.ts";
import { callerNamed, portOf, serveEngine } from "./support/served-engine.ts";
import { RawConnection, requestText, tokens } from "./support/test-server.ts";

const callers = { [tokens.anna]: callerNamed("anna", "admin", "key-admin", "key-operator", "encryptor", "decryptor", "auditor") };
const bodyBytes = 1_048_576;

/** Bodies that no route takes, and how each is answered. */
const bodies: Readonly<Record<string, readonly [body: string, answer: string]>> = {
  "too long": [`{"text":"${"x".repeat(bodyBytes)}"}`, "413 TOO_LARGE"],
  "too deep": [`${'{"a":'.repeat(200)}1${"}".repeat(200)}`, "413 TOO_LARGE"],
  "no JSON": ["{text: 1}", "400 INVALID_ARGUMENT"],
  "cut off": ['{"text":"x', "400 INVALID_ARGUMENT"],
  "a field twice": ['{"a":1,"a":2}', "400 INVALID_ARGUMENT"],
  "a prototype": ['{"__proto__":{"a":1}}', "400 INVALID_ARGUMENT"],
  "an unknown field": ['{"unknown field":1}', "400 INVALID_ARGUMENT"],
  "no object": ["[1]", "400 INVALID_ARGUMENT"],
  "no UTF-8": ['"\xff"', "400 INVALID_ARGUMENT"],
};

/** A request of a row with a body of bytes; numbers where a parameter is one, so that the body is what is wrong. */
function requestOf({ method, path }: AnyRoute, body: string): string {
  const target = path
    .replaceAll(/:(version|generation)/g, "1")
    .replace(":name", "refreshBound")
    .replaceAll(/:\w+/g, "x");
  return requestText(method, target, { "Content-Type": "application/json", "Content-Length": String(body.length) }) + body;
}

const rows = routes.filter(({ method, stream }) => method !== "GET" && stream !== "ndjson");

it("a body that no row takes is refused by every row of the table, and leaves one record", { timeout: 120_000 }, async () => {
  const engine = await serveEngine(callers);
  const port = await portOf(engine);
  const connection = new RawConnection(port);
  const wrong: string[] = [];
  const ids: string[] = [];
  for (const route of rows) {
    for (const [name, [body, wanted]] of Object.entries(bodies)) {
      // What is not read to its end closes the connection.
      const from = wanted.startsWith("413") ? new RawConnection(port) : connection;
      const answer = await from.send(requestOf(route, body)).answer();
      const problem = z.object({ code: z.string(), requestId: z.string() }).safeParse(JSON.parse(answer?.body ?? "{}"));
      const got = `${String(answer?.status)} ${problem.data?.code ?? "no problem"}`;
      if (got !== wanted || / {4}at |node:|\.ts\b/.test(answer?.body ?? "")) wrong.push(`${route.method} ${route.path}, ${name}: ${got}`);
      ids.push(problem.data?.requestId ?? "none");
    }
  }
  expect(wrong).toEqual([]);
  const records = await engine.keystead.audit.show({ limit: 10_000 });
  const counts = Map.groupBy(records, ({ request }) => z.object({ id: z.string() }).safeParse(request).data?.id);
  expect(ids.filter((id) => counts.get(id)?.length !== 1)).toEqual([]);
  expect(ids.length).toBeGreaterThan(300);
});

it("a batch says what is wrong with it, in whichever item, and that it is too long", async () => {
  const { server } = await serveEngine(callers);
  const batches = routes.filter(({ body, stream }) => stream === undefined && formOf(body, { items: [] }) !== body);
  expect(batches.map(({ path }) => path)).toHaveLength(11);
  for (const { path } of batches) {
    const send = async (items: unknown): Promise<unknown> =>
      (await server.inject({ method: "POST", url: path, headers: { authorization: `Bearer ${tokens.anna}` }, payload: { items } })).json();
    expect(await send(5), path).toMatchObject({ status: 400, detail: "items: must be a list" });
    expect(await send([]), path).toMatchObject({ status: 400, detail: "items: must have at least 1 entries" });
    expect(await send([5]), path).toMatchObject({ status: 400, detail: "items.0: must be an object" });
    expect(await send([{ context: 5 }]), path).toMatchObject({
      status: 400,
      detail: expect.stringMatching(/^items\.0(?:\.\w+)?: /) as unknown,
    });
    const detail = "a batch has at most 1000 items; send several, or a stream";
    expect(await send(Array.from({ length: 1_001 }, () => ({}))), path).toMatchObject({ status: 413, code: "TOO_LARGE", detail });
  }
});

it("requests of real rows on one connection are answered in order, and what is cut off is not carried out", async () => {
  const engine = await serveEngine(callers);
  const port = await portOf(engine);
  const create = (name: string): string => requestText("POST", "/v1/keys", {}, JSON.stringify({ name, purpose: "pii" }));
  const seal = requestText("POST", "/v1/encrypt", {}, JSON.stringify({ key: "one", text: "x" }));
  const connection = new RawConnection(port).send(create("one"));
  expect((await connection.answer())?.status).toBe(201);
  connection.send(seal + create("one") + requestText("GET", "/v1/keys/one"));
  const statuses = [];
  for (let count = 0; count < 3; count++) statuses.push((await connection.answer())?.status);
  expect(statuses).toEqual([200, 409, 200]);
  const cut = new RawConnection(port).send(create("two").slice(0, -1));
  cut.socket.end();
  expect(await cut.all()).toBe("");
  await expect.poll(() => engine.keystead.audit.show({ action: "keys.create", failed: true })).toHaveLength(2);
  expect((await engine.keystead.keys.list({ purpose: "pii" })).map(({ name }) => name)).toEqual(["one"]);
});
