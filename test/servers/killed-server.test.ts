import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { request } from "undici";
import { expect, it } from "vitest";
import { openKeystead } from "../../src/keystead.ts";
import { registerSecret } from "../setup/canary.ts";
import { type Child, startChild } from "../support/child.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

const main = new URL("../../src/cli/main.ts", import.meta.url);
const rounds = 20;
const connections = 16;
/** Answers before the kill: another number each round, so that it meets another moment of a write. */
const answersBefore = (round: number): number => 150 + 37 * round;

/** The server of a data folder, with a token; every other round it has workers. */
async function serve(folder: string, round: number): Promise<{ readonly child: Child; readonly url: string; readonly token: string }> {
  const tokenFile = join(folder, `token-${String(round)}`);
  const data = join(folder, "data");
  const workers = round % 2 === 0 ? [] : ["--workers", "2"];
  const child = startChild(main, ["serve", "--json", "--data", data, "--port", "0", "--token-file", tokenFile, ...workers]);
  const ready: unknown = JSON.parse((await child.nextLine()) ?? "{}");
  const url = typeof ready === "object" && ready !== null && "url" in ready ? String(ready.url) : "";
  const token = readFileSync(tokenFile, "utf8").trim();
  registerSecret(token);
  return { child, url, token };
}

/** Kills a server with all its workers in one moment, as a power failure does. */
function killAll({ process: { pid = 0 } }: Child): void {
  const workers = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, "utf8")
    .trim()
    .split(" ");
  for (const each of [pid, ...workers.filter((text) => text !== "").map(Number)]) process.kill(each, "SIGKILL");
}

/** Lets the records of a data folder go to a file, too, which is begun anew now and then. */
function addSink(data: string): void {
  mkdirSync(join(data, "lines"));
  const file = join(data, "keystead.json");
  const configuration: unknown = JSON.parse(readFileSync(file, "utf8"));
  const audit = { sinks: [{ type: "file", path: "lines/audit.jsonl", maxBytes: 200_000 }] };
  // A machine that is busy for a moment must not shed a call: that leaves no record.
  const server = { limits: { eventLoopDelayMilliseconds: 60_000 } };
  writeFileSync(file, JSON.stringify({ ...Object(configuration), audit, server }));
}

/** The ids of requests in the files of the sink. */
function idsInSink(data: string): Set<string> {
  const files = readdirSync(join(data, "lines")).map((name) => readFileSync(join(data, "lines", name), "utf8"));
  return new Set(files.flatMap((text) => [...text.matchAll(/"id":"(\d+-\d+-\d+)"/g)].map(([, id = ""]) => id)));
}

/** Calls until the server is gone; the ids of those that were answered, each with its status. */
async function load(url: string, token: string, prefix: string, onAnswer: () => void): Promise<Map<string, number>> {
  const answered = new Map<string, number>();
  const paths = [
    ["/v1/encrypt", { key: "k", text: "x", context: { table: "person" } }],
    ["/v1/encrypt", { items: Array.from({ length: 20 }, () => ({ key: "k", text: "x" })) }],
    ["/v1/decrypt", { ciphertext: "ks1:k:1-aaaaaa:AAAA" }],
    ["/v1/encrypt", { key: "unknown", text: "x" }],
    ["/v1/hash", { unknown: true }],
  ] as const;
  const work = async (worker: number): Promise<void> => {
    for (let number = 0; ; number += 1) {
      const [path, body] = paths[number % paths.length] ?? paths[0];
      const id = `${prefix}-${String(worker)}-${String(number)}`;
      try {
        const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", "x-request-id": id };
        const answer = await request(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
        await answer.body.text();
        answered.set(id, answer.statusCode);
        onAnswer();
      } catch {
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, worker) => work(worker)));
  return answered;
}

it("every answered call has its record, whenever the server is killed", async () => {
  const folder = temporaryFolder();
  await startChild(main, ["init", "--dir", join(folder, "data")]).finish();
  addSink(join(folder, "data"));
  const answered = new Map<string, number>();
  for (let round = 0; round < rounds; round += 1) {
    const { child, url, token } = await serve(folder, round);
    if (round === 0) {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const made = await request(`${url}/v1/keys`, { method: "POST", headers, body: JSON.stringify({ name: "k", purpose: "pii" }) });
      expect(made.statusCode).toBe(201);
      await made.body.text();
    }
    let left = answersBefore(round);
    const seen = await load(url, token, String(round), () => {
      left -= 1;
      if (left === 0) killAll(child);
    });
    expect(seen.size).toBeGreaterThanOrEqual(answersBefore(round));
    for (const [id, status] of seen) answered.set(id, status);
  }

  const data = join(folder, "data");
  const keystead = await openKeystead({
    store: `sqlite:${join(data, "keystead.db")}`,
    masterKeyFile: join(data, "master.key"),
    auditDirectory: join(data, "audit"),
  });
  try {
    const records = new Map<string, string[]>();
    for (let after: string | undefined, more = true; more;) {
      const page = await keystead.audit.page({ limit: 1000, ...(after !== undefined && { after }) });
      for (const { request: origin, outcome, code } of page.records) {
        if (typeof origin !== "object" || origin === null || !("id" in origin)) continue;
        const id = String(origin.id);
        records.set(id, [...(records.get(id) ?? []), [outcome, code].filter((word) => typeof word === "string").join(" ")]);
      }
      after = page.next;
      more = after !== undefined;
    }
    const outcomes: Readonly<Record<number, RegExp>> = { 200: /^allowed$/, 400: /^failed /, 404: /^failed UNKNOWN_KEY$/ };
    const wrong = [...answered].filter(([id, status]) => {
      const [record = "", ...others] = records.get(id) ?? [];
      return others.length > 0 || outcomes[status]?.test(record) !== true;
    });
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(answered.size).toBeGreaterThan(rounds * 150);
    expect((await keystead.audit.verify()).findings).toEqual([]);
    const [inSink, files] = [idsInSink(data), readdirSync(join(data, "lines"))];
    expect([...answered.keys()].filter((id) => !inSink.has(id)).slice(0, 5)).toEqual([]);
    expect(files.length).toBeGreaterThan(1);
    process.stdout.write(
      `${String(answered.size)} answered calls of ${String(rounds)} killed servers, each with its record, ${String(files.length)} files of a sink\n`,
    );
  } finally {
    await keystead.close();
  }
}, 300_000);
