import { expect, it } from "vitest";
import { answerLines, lineBatches } from "../../src/api/line-batches.ts";
import type { RouteLine } from "../../src/api/route.ts";
import { KeysteadError } from "../../src/errors.ts";
import { callerNamed, serveEngine } from "./support/served-engine.ts";

async function* lines(count: number, length = 10): AsyncGenerator<RouteLine<number>> {
  for (let value = 0; value < count; value++) yield { value, length };
}

async function sizesOf(source: AsyncIterable<RouteLine<number>>, weigh?: (value: number) => number): Promise<number[]> {
  const sizes: number[] = [];
  for await (const batch of lineBatches(source, weigh === undefined ? {} : { weigh })) sizes.push(batch.length);
  return sizes;
}

it("lines are answered in batches that are bounded by number, bytes and weight", async () => {
  expect(await sizesOf(lines(1_201))).toEqual([500, 500, 201]);
  expect(await sizesOf(lines(5, 500_000))).toEqual([2, 2, 1]);
  expect(await sizesOf(lines(4), () => 2_000_000)).toEqual([1, 1, 1, 1]);
});

it("a line is answered before the next one comes, and a failure counts behind what came before it", async () => {
  const waiting = Promise.withResolvers<undefined>();
  async function* slow(): AsyncGenerator<RouteLine<number>> {
    yield { value: 1, length: 1 };
    yield { problem: new KeysteadError("INVALID_ARGUMENT", "no"), length: 1 };
    await waiting.promise;
    yield { value: 2, length: 1 };
    throw new KeysteadError("TOO_LARGE", "no");
  }
  const acts: string[] = [];
  const call = {
    reauthenticate: () => void acts.push("asked"),
    recordRefused: async (problems: readonly KeysteadError[]) => void acts.push(`recorded ${String(problems.length)}`),
  };
  const answers = answerLines(
    slow(),
    call,
    async (items) => items,
    ({ code }) => code,
  );
  expect([(await answers.next()).value, (await answers.next()).value]).toEqual([1, "INVALID_ARGUMENT"]);
  waiting.resolve(undefined);
  expect((await answers.next()).value).toBe(2);
  await expect(answers.next()).rejects.toMatchObject({ code: "TOO_LARGE" });
  expect(acts).toEqual(["asked", "recorded 1", "asked"]);
});

const refused = '{"key":"k"}\n{\n';

it.each([
  ["of lines that are all refused", refused, [{ outcome: "failed", items: ["!INVALID_ARGUMENT", "!INVALID_ARGUMENT"], detail: counts(2) }]],
  [
    "of which some lines are refused",
    `{"key":"k","text":"a"}\n${refused}`,
    [
      { outcome: "failed", detail: counts(2) },
      { outcome: "allowed", key: "k", detail: { items: 1, failed: 0, denied: 0 } },
    ],
  ],
  ["that has no lines", "", [{ outcome: "failed", detail: counts(0) }]],
])("a stream %s is recorded as such", async (_, payload, expected) => {
  const { keystead, server } = await serveEngine({ carl: callerNamed("carl", "encryptor") });
  await keystead.keys.create({ name: "k", purpose: "pii" });
  const headers = { authorization: "Bearer carl", "content-type": "application/x-ndjson" };
  expect((await server.inject({ method: "POST", url: "/v1/streams/encrypt", headers, payload })).statusCode).toBe(200);
  const { records } = await keystead.audit.page({ principal: "oidc:main:carl" });
  const sorted = records.toSorted((a, b) => String(b["outcome"]).localeCompare(String(a["outcome"])));
  expect(sorted).toMatchObject(expected.map((record) => ({ action: "data.encrypt", ...record })));
  expect(sorted).toHaveLength(expected.length);
  if (expected.length === 1) expect(sorted[0]).not.toHaveProperty("key");
});

function counts(lines: number): object {
  return { items: lines, failed: lines, denied: 0 };
}

it("a stream seals line by line, in order, with a problem in the place of a line that failed", async () => {
  const { keystead, server } = await serveEngine({ carl: callerNamed("carl", "encryptor") });
  await keystead.keys.create({ name: "k", purpose: "pii" });
  const payload = ['{"key":"k","text":"a"}', '{"key":"none","text":"b"}', "{", '{"key":"k","text":"d"}'].join("\n");
  const answer = await server.inject({
    method: "POST",
    url: "/v1/streams/encrypt",
    headers: { authorization: "Bearer carl", "content-type": "application/x-ndjson" },
    payload,
  });
  const told = answer.body
    .trim()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  expect(told).toMatchObject([
    { key: "k", version: 1 },
    { problem: { code: "UNKNOWN_KEY" } },
    { problem: { code: "INVALID_ARGUMENT" } },
    { key: "k" },
  ]);
  const { records } = await keystead.audit.page({ principal: "oidc:main:carl" });
  const ofKeys = records.filter(({ key }) => key !== undefined);
  expect(ofKeys).toMatchObject([
    { action: "data.encrypt", outcome: "failed", key: "none", detail: { items: 1, failed: 1, batch: 3 } },
    { action: "data.encrypt", outcome: "allowed", key: "k", detail: { items: 2, failed: 0, batch: 3 } },
  ]);
  expect(records).toHaveLength(3);
});
