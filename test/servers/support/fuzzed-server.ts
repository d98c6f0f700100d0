import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { registerSecret } from "../../setup/canary.ts";
import { registerMasterKeys } from "../../setup/master-keys.ts";
import { runWatched } from "../../setup/watched-child.ts";
import { main, type Serving, serve } from "../../support/serve-process.ts";

/** A served data folder with something of everything in it, so that calls find what they ask for. */
export interface FuzzedServer extends Serving {
  /** Tokens: of who may do everything, of another such who may lose that, and of who may do nothing. */
  readonly tokens: { readonly all: string; readonly spare: string; readonly weak: string };
  /** What the server made with its keys, for requests that need it. */
  readonly made: { readonly ciphertext: string; readonly dataKey: string; readonly tag: string };
  /** What no answer may have in it. */
  readonly secrets: readonly string[];
  /** A folder for its files. */
  readonly folder: string;
  /** Runs the command line on the folder. @returns what it printed @throws Error when it fails */
  readonly command: (...args: readonly string[]) => string;
}

const roles = ["admin", "key-admin", "key-operator", "encryptor", "decryptor", "signer", "auditor", "fuzzer"];
// A machine that stands still for a second is not what is looked for.
const limits = { streams: 1_000, eventLoopDelayMilliseconds: 60_000 };
// Each request leaves a line: by those the run counts what it reached.
const settings = { rateLimits: { failedAuthenticationsPerMinute: 1_000_000 }, log: { requests: "all" }, limits };
const dataset = {
  database: "crm",
  table: "person",
  keyColumns: ["id"],
  columns: { name: { key: "email" }, email: { key: "email" } },
  indexes: { email: { columns: ["email"], column: "email_index", key: "lookup", kind: "exact", normalisers: ["text"] } },
};

/** Makes the folder, and serves it. */
export async function serveFuzzed(folder: string): Promise<FuzzedServer> {
  const data = join(folder, "data");
  const command = (...args: readonly string[]): string => {
    const { status, stdout, stderr } = runWatched(process.execPath, [main, "--dir", data, ...args], { showsPlaintext: true });
    if (status !== 0) throw new Error(`keystead ${args.join(" ")} ended with ${String(status)}: ${stderr}`);
    return stdout.trim();
  };
  command("init");
  registerMasterKeys(data);
  makeDatabase(join(folder, "crm.db"));
  const file = join(data, "keystead.json");
  const configuration = JSON.parse(readFileSync(file, "utf8")) as object;
  writeFileSync(file, JSON.stringify({ ...configuration, databases: { crm: "sqlite:../crm.db" }, server: settings }));
  for (const [name, purpose, usage] of [
    ["email", "pii", "encrypt"],
    ["lookup", "pii", "blind-index"],
    ["tags", "api", "mac"],
    ["signer", "api", "sign"],
  ] as const)
    command("keys", "create", name, "--purpose", purpose, "--usage", usage);
  const definition = join(folder, "person.json");
  writeFileSync(definition, JSON.stringify(dataset));
  command("datasets", "add", "crm.person", "--definition", definition);
  command("datasets", "protect", "crm.person");
  command("policy", "add", "allow", "role:fuzzer", "*");
  const token = (name: string, ...given: readonly string[]): string => {
    const made = join(folder, `token-${name}`);
    command("tokens", "create", name, ...given.flatMap((role) => ["--role", role]), "--out", made);
    const text = readFileSync(made, "utf8").trim();
    registerSecret(text);
    return text;
  };
  const tokens = { all: token("all", ...roles), spare: token("spare", ...roles), weak: token("weak") };
  const serving = await serve("--data", data, "--port", "0");
  const make = async (path: string, body: object, field: string): Promise<string> => {
    const headers = { authorization: `Bearer ${tokens.all}`, "content-type": "application/json" };
    const answer = await fetch(`${serving.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    return String(((await answer.json()) as Record<string, unknown>)[field]);
  };
  const made = {
    ciphertext: await make("/v1/encrypt", { key: "email", text: "hello" }, "ciphertext"),
    dataKey: await make("/v1/data-keys", { key: "email", plain: false }, "ciphertext"),
    tag: await make("/v1/mac", { key: "tags", text: "hello" }, "tag"),
  };
  const masterKey = readFileSync(join(data, "master.key"), "utf8").trim().split(":").at(-1) ?? "";
  return { ...serving, tokens, made, command, folder, secrets: [...Object.values(tokens), masterKey, data] };
}

function makeDatabase(file: string): void {
  const database = new DatabaseSync(file);
  try {
    database.exec("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, email TEXT, email_index TEXT)");
    const insert = database.prepare("INSERT INTO person (name, email) VALUES (?, ?)");
    for (let number = 0; number < 50; number++) insert.run(`name ${String(number)}`, `person-${String(number)}@mail.example`);
  } finally {
    database.close();
  }
}
