import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { KeysteadServer } from "./served/keystead-server.ts";
import { SoakLoad } from "./soak/load.ts";
import { judge, type Sample } from "./soak/promises.ts";

// npm run soak: a served process under mixed load, ten minutes or KEYSTEAD_SOAK_SECONDS long. Exits 1 when it promises what it does not keep.

const seconds = Number(process.env["KEYSTEAD_SOAK_SECONDS"] ?? "600");
const millisecondsPerSecond = 1_000;
const rows = 500;
const shownFailures = 10;

const sampleSchema = z.object({ rss: z.number(), heapUsed: z.number(), p99: z.number(), most: z.number() });

async function soak(): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "keystead-soak-"));
  const crm = join(folder, "crm.db");
  const watch = join(folder, "watch.jsonl");
  createPersons(crm);
  const server = await KeysteadServer.start(folder, {
    nodeArguments: ["--import", new URL("soak/watch-process.ts", import.meta.url).href],
    env: { KEYSTEAD_WATCH_FILE: watch },
    databases: { crm },
  });
  try {
    process.stdout.write(`${seconds} s of mixed load; the load of this machine before: ${loadavg()[0]?.toFixed(1) ?? "?"}\n`);
    await server.call("POST", "/v1/keys", { name: "bench", purpose: "pii" });
    const columns = { email: { key: "bench" } };
    await server.call("POST", "/v1/datasets", { name: "crm.person", database: "crm", table: "person", keyColumns: ["id"], columns });
    await server.call("POST", "/v1/datasets/crm.person/protect", {});
    const load = new SoakLoad(server);
    await load.run(AbortSignal.timeout(seconds * millisecondsPerSecond));
    for (const [name, count] of load.done) process.stdout.write(`  ${name.padEnd(32)}${String(count).padStart(10)}\n`);
    for (const failure of load.failures.slice(0, shownFailures)) process.stdout.write(`  FAILED ${failure}\n`);
    return judge(samplesIn(watch), load);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function createPersons(file: string): void {
  const database = new DatabaseSync(file);
  database.exec("create table person (id integer primary key, email text)");
  const insert = database.prepare("insert into person (id, email) values (?, ?)");
  for (let id = 1; id <= rows; id++) insert.run(id, `person.${id}@example.org`);
  database.close();
}

function samplesIn(file: string): Sample[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return lines.map((line) => sampleSchema.parse(JSON.parse(line)));
}

process.exitCode = (await soak()) ? 0 : 1;
