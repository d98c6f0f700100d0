import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import { registerMasterKeys } from "../setup/master-keys.ts";
import { TestAuthority } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { temporaryFolder } from "../support/test-keystead.ts";
import { TestClock } from "../support/test-clock.ts";
import { type CommandResult, runCommandLine } from "./support/command-line.ts";
import { nameDatabase, serveFolder } from "./support/served-folder.ts";

const cache = mkdtempSync(join(tmpdir(), "keystead-cli-cache-"));
afterAll(() => rmSync(cache, { recursive: true, force: true }));

/** A command line: its words, what it reads, and whether what it prints is plaintext. `$C` is the last ciphertext, or tag, that was printed. */
interface Step {
  readonly line: string;
  readonly stdin?: string;
  readonly shows?: boolean;
}

const person = "--database crm --table person --key-columns id --column email=pii --index email_index=email,normaliser=email,bits=8";

/** What commands do alike on a folder and on a server, good and bad. */
const steps: readonly (string | Step)[] = [
  "settings set refreshBound 50",
  "settings list",
  "purposes create hr --description people",
  "purposes list",
  "purposes show pii",
  "purposes show pij",
  "keys create pii --purpose pii --tag owner=crm",
  "keys create pii --purpose pii",
  "keys create pii-index --purpose pii --usage blind-index",
  "keys create other --purpose pi",
  "keys list",
  "keys list --purpose nothing",
  "keys rotate pii --reason yearly",
  "keys alias mail pii",
  "keys show mail",
  "keys show pij",
  "keys show pii --json",
  "keys suspend pii 1 --reason incident",
  "keys resume pii 1",
  "keys destroy pii 1",
  "keys destroy pii 1 --yes --json",
  "keys cancel-destroy pii 1",
  "keys certificate pii 1",
  "purposes set pii --default-key pii",
  { line: "encrypt --purpose pii --context row=1", stdin: "anna" },
  { line: "decrypt --context row=1", stdin: "$C\n", shows: true },
  { line: "decrypt --context row=1 --json", stdin: "$C\n", shows: true },
  { line: "decrypt --context row=2", stdin: "$C\n", shows: true },
  { line: "decrypt", stdin: "plaintext", shows: true },
  { line: "rewrap --context row=1", stdin: "$C\n" },
  { line: "encrypt --key pii --lines", stdin: "anna\r\nbert\n\ncarla" },
  { line: "decrypt --lines", stdin: "$C\n$C\n", shows: true },
  { line: "decrypt --lines --json", stdin: "$C\n$C\n", shows: true },
  { line: "decrypt --lines", stdin: "$C\nks1:x\n$C\n", shows: true },
  { line: "rewrap --lines", stdin: "$C\nplaintext\n" },
  "keys create hooks --purpose pii --usage mac",
  { line: "mac --key hooks", stdin: "body\n" },
  { line: "verify-mac --key hooks --tag $C", stdin: "body\n" },
  { line: "verify-mac --key hooks --tag $C --json", stdin: "body\n" },
  { line: "verify-mac --key hooks --tag $C", stdin: "other" },
  { line: "verify-mac --key hooks --tag $C --json", stdin: "other" },
  { line: "mac --key hooks --lines --json", stdin: "one\r\ntwo\n" },
  { line: "mac --key pii", stdin: "body" },
  { line: "mac --purpose none", stdin: "body" },
  { line: "mac", stdin: "body" },
  { line: "hash", stdin: "abc" },
  { line: "hash --algorithm SHA3-512 --json", stdin: "abc\n" },
  { line: "hash --lines", stdin: "abc\nabc" },
  { line: "hash --algorithm SHA-1", stdin: "abc" },
  { line: "random 24 --json", shows: true },
  { line: "random 65536 --json", shows: true },
  { line: "random many", shows: true },
  "data-keys create --purpose pii --context file=1",
  { line: "data-keys open --context file=1 --json", stdin: "$C\n", shows: true },
  { line: "data-keys open --context file=2 --json", stdin: "$C\n", shows: true },
  { line: "decrypt --context file=1", stdin: "$C\n", shows: true },
  "data-keys create --key pii --bytes 16 --json",
  "data-keys create --key pii --bytes 65",
  "data-keys create --key hooks",
  "data-keys create --key pii --plain-out -",
  "kek test local:main",
  "kek test local:main --json",
  "kek test local:mian",
  "kek test nothing",
  "leases list",
  "leases list --key pii --json",
  "leases list --key mail",
  "leases list --key pij",
  "leases show 019a3f6e-7c11-7d52-9b1e-4f0c2a6d8e35",
  "leases revoke 019a3f6e-7c11-7d52-9b1e-4f0c2a6d8e35 --reason stolen",
  "leases revoke none",
  `datasets add crm.person ${person}`,
  `datasets add crm.person ${person} --index-key pii-index`,
  "datasets add other --database crn --table person --key-columns id --column email=pii",
  "datasets list",
  "datasets show crm.persn",
  "datasets protect crm.person --no-progress",
  "datasets census",
  { line: "datasets find crm.person email_index -", stdin: "bert@example.org\n", shows: true },
  { line: "datasets find crm.person email_index - --json", stdin: "bert@example.org\n", shows: true },
  "keys rotate pii",
  "datasets reencrypt crm.person --json",
  "datasets verify crm.person --no-progress",
  "datasets index crm.person --plan email,normaliser=email",
  "datasets generation status crm.person",
  "datasets unprotect crm.person",
  "jobs list --json",
  "jobs pause crm.person",
  "keys destroy pii 3 --yes",
  "routes set local:main --purpose hr",
  "routes list",
  "routes set local:mian --default",
  "policy explain os-user:nobody data.decrypt pii",
  "principals add os-user:anna --role auditor",
  "principals list",
  "principals remove os-user:anna",
  "roles list",
  "approvals show a7f2qdk5m3xw2b4c",
  "tokens revoke a7f2qdk5m3xw2b4c",
  "audit verify --pinned-key nowhere.pem",
  "audit report --from tomorrow",
  "audit show --key nothing",
  "doctor --strict",
];

/** What differs between two stores: labels, ids, ciphertext, times. */
function alike(text: string): string {
  return text
    .replaceAll(/ks1:(\S+?):(\d+)-[a-z2-7]{6}:[\w-]+/g, "ks1:$1:$2:CIPHERTEXT")
    .replaceAll(/\b(\d+)-[a-z2-7]{6}\.([\w-]{43})(?![\w-])/g, "$1-LABEL.TAG")
    .replaceAll(/\b(\d+)-[a-z2-7]{6}\b/g, "$1-LABEL")
    .replaceAll(/"(bytesBase64url|plaintextBase64url)":"([\w-]+)"/g, (_, name: string, { length }: string) => `"${name}":${String(length)}`)
    .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "UUID")
    .replaceAll(/\b[a-z2-7]{16}\b/g, "ID")
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?/g, "TIME")
    .replaceAll(/"(id|etag|host)":"[^"]*"/g, '"$1":"…"')
    .replaceAll(/"(process|rowsPerSecond|restMilliseconds|lastedMilliseconds)":\d+(?:\.\d+)?/g, '"$1":0')
    .replaceAll(/^id {2,}\S+$/gm, "id …")
    .replaceAll(/ +/g, " ");
}

interface Place {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  ciphertext: string;
}

async function run({ folder, env }: Place, { line, stdin = "", shows = false }: Step, ciphertext = ""): Promise<CommandResult> {
  const settings = {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", NODE_COMPILE_CACHE: cache, ...env },
    stdin: Buffer.from(stdin.replaceAll("$C", ciphertext)),
    showsPlaintext: shows,
  };
  const args = line.split(" ").map((word) => word.replace("$C", ciphertext));
  return runCommandLine(args, settings);
}

async function outcome(place: Place, step: Step): Promise<object> {
  const { code, stdout, stderr } = await run(place, step, place.ciphertext);
  const text = stdout.toString("utf8");
  place.ciphertext = /^(?:ks1:|\d+-[a-z2-7]{6}\.)\S+$/m.exec(text)?.[0] ?? place.ciphertext;
  return { line: step.line, code, stdout: alike(text), stderr: alike(stderr) };
}

function makePersons(folder: string): string {
  const file = join(folder, "crm.db");
  const database = new DatabaseSync(file);
  database.exec("create table person (id integer primary key, email text, email_index text)");
  database.exec("insert into person (id, email) values (1, 'anna@example.org'), (2, 'bert@example.org'), (3, null)");
  database.close();
  return `sqlite:${file}`;
}

describe("a command", () => {
  it("says the same on a server as on a folder", async () => {
    const [here, there] = [temporaryFolder(), temporaryFolder()];
    const local: Place = { folder: here, env: {}, ciphertext: "" };
    expect((await run(local, { line: "init" })).code).toBe(0);
    registerMasterKeys(here);
    expect((await run(local, { line: "policy add allow role:everything *" })).code).toBe(0);
    nameDatabase(join(here, "keystead-data"), "crm", makePersons(here));
    const { env } = await serveFolder(there, { databases: { crm: makePersons(there) } });
    const remote: Place = { folder: there, env, ciphertext: "" };
    for (const given of steps) {
      const step = typeof given === "string" ? { line: given } : given;
      const [expected, found] = await Promise.all([outcome(local, step), outcome(remote, step)]);
      expect.soft(found, step.line).toEqual(expected);
    }
  }, 600_000);

  it("reads the server's audit, and writes a file of it that verifies alone", async () => {
    const folder = temporaryFolder();
    const { env } = await serveFolder(folder);
    const place: Place = { folder, env, ciphertext: "" };
    await run(place, { line: "keys create pii --purpose pii" });
    expect((await run(place, { line: "audit show --action keys.create --json" })).stdout.toString()).toContain('"key":"pii"');
    expect((await run(place, { line: "audit verify" })).stdout.toString()).toContain("the audit is whole");
    expect((await run(place, { line: "audit report" })).stdout.toString()).toContain("keys.create");
    const pem = (await run(place, { line: "audit public-key" })).stdout.toString();
    expect(pem).toContain("BEGIN PUBLIC KEY");
    expect(await run(place, { line: "audit export --out audit.jsonl" })).toMatchObject({ code: 0 });
    expect((await run(place, { line: "audit verify --export audit.jsonl" })).stdout.toString()).toContain("the export is whole");
    expect(await run(place, { line: "tokens create backup --role auditor --out backup-token --json" })).toMatchObject({ code: 0 });
    const token = readFileSync(join(folder, "backup-token"), "utf8").trim();
    const other: Place = { folder, env: { KEYSTEAD_ADDR: env["KEYSTEAD_ADDR"] ?? "", KEYSTEAD_TOKEN: token }, ciphertext: "" };
    expect(await run(other, { line: "audit show" })).toMatchObject({ code: 0 });
    const whoami = await run(other, { line: "whoami" });
    expect(whoami.stdout.toString()).toMatch(/^principal {2}token:[a-z2-7]{16}\nname {7}backup\nroles {6}auditor\n$/);
    const denied = await run(other, { line: "keys create mine --purpose pii" });
    expect(denied).toMatchObject({ code: 4 });
    expect(denied.stderr).not.toContain(token);
  }, 120_000);

  it("ends as the server says when its token is not good, or not any more", async () => {
    const folder = temporaryFolder();
    const clock = new TestClock();
    const { engine, env, useToken } = await serveFolder(folder, { clock });
    const place: Place = { folder, env, ciphertext: "" };
    const expiresAt = new Date(clock.now() + 3_600_000);
    const { token } = await engine.tokens.create({ name: "short", roles: ["everything"], expiresAt });
    useToken(token);
    expect(await run(place, { line: "keys list" })).toMatchObject({ code: 0 });
    clock.advance(3_600_001);
    const expired = await run(place, { line: "keys list --json" });
    expect(expired.code).toBe(4);
    expect(JSON.parse(expired.stderr)).toEqual({
      code: "UNAUTHENTICATED",
      message: "the token is not good, or not any more; ask for another one",
      hint: "the token comes from KEYSTEAD_TOKEN_FILE or KEYSTEAD_TOKEN; `keystead tokens create` makes another",
      exitCode: 4,
    });
  }, 60_000);

  it("knows its server by KEYSTEAD_CACERT, and shows its own certificate where one is wanted", async () => {
    const folder = temporaryFolder();
    const authority = new TestAuthority(folder);
    const { files } = authority.issue({ name: "server", names: ["IP:127.0.0.1"] });
    const own = authority.issue({ name: "anna" }).files;
    const tls = { certFile: files.certificate, keyFile: files.key, clientCaFile: authority.file, requireClientCertificate: true };
    for (const key of [files.key, own.key]) chmodSync(key, 0o600);
    const { env } = await serveFolder(folder, {}, { tls });
    const list = { line: "keys list --json" };
    const unknown = await run({ folder, env, ciphertext: "" }, list);
    expect(unknown).toMatchObject({ code: 7 });
    expect(unknown.stderr).toMatch(
      /the server did not answer \((?:SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)\); check its address, its certificate/,
    );
    const withAuthority = { ...env, KEYSTEAD_CACERT: authority.file };
    expect(await run({ folder, env: withAuthority, ciphertext: "" }, list)).toMatchObject({ code: 7 });
    const whole = { ...withAuthority, KEYSTEAD_CLIENT_CERT: own.certificate, KEYSTEAD_CLIENT_KEY: own.key };
    expect(await run({ folder, env: whole, ciphertext: "" }, list)).toMatchObject({ code: 0, stderr: "" });
  }, 60_000);

  it("says how to go on when nobody answers", async () => {
    const folder = temporaryFolder();
    const { env } = await serveFolder(folder);
    const address = `http://127.0.0.1:${String(await freePort())}`;
    const away: Place = { folder, env: { ...env, KEYSTEAD_ADDR: address }, ciphertext: "" };
    const found = await run(away, { line: "keys list" });
    expect(found).toMatchObject({ code: 7 });
    expect(found.stderr).toMatch(
      /^keystead: the server did not answer \(ECONNREFUSED\); check its address, its certificate and the network/,
    );
    expect(found.stderr).toMatch(/^hint: KEYSTEAD_ADDR names the server; give --dir FOLDER to work on a data folder of this machine$/m);
    // A server that is none.
    const stranger: Place = { folder, env: { ...env, KEYSTEAD_ADDR: `${env["KEYSTEAD_ADDR"] ?? ""}/elsewhere` }, ciphertext: "" };
    expect(await run(stranger, { line: "keys list" })).toMatchObject({ code: 5 });
  }, 60_000);
});
