import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { HintedError } from "../../src/cli/failure.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { localCommands, placelessCommands } from "../../src/cli/remote.ts";
import { registerSecret } from "../setup/canary.ts";
import { freePort } from "../support/free-port.ts";
import { temporaryFolder } from "../support/test-keystead.ts";

/** As many as listen for signals without a warning. */
const atOnce = 8;
const token = "ks_token_that_no_message_may_show";

/** What stands for the arguments of commands, and options without which they have nothing to do. */
const samples: Readonly<Record<string, string>> = {
  "<version>": "1",
  "<generation>": "2",
  "<name>": "pii",
  "<value>": "1",
  "<effect>": "allow",
  "<subject>": "role:x",
  "<actions>": "keys.list",
  "<action>": "keys.list",
  "<principal>": "os-user:anna",
  "<shell>": "bash",
  "<bytes>": "32",
};
const options: Readonly<Record<string, readonly string[]>> = {
  encrypt: ["--key", "pii", "--lines", "--file", "lines.txt"],
  decrypt: ["--lines", "--file", "lines.txt"],
  rewrap: ["--lines", "--file", "lines.txt"],
  reveal: ["--file", "lines.txt"],
  mac: ["--key", "pii", "--file", "lines.txt"],
  "verify-mac": ["--key", "pii", "--file", "lines.txt", "--tag", "x"],
  hash: ["--file", "lines.txt"],
  "data-keys create": ["--key", "pii"],
  "data-keys open": ["--file", "lines.txt"],
  "keys create": ["--purpose", "pii"],
  "keys rotate": ["pii"],
  "keys compromise": ["--yes"],
  "keys destroy": ["--yes"],
  "keys alias": ["pii"],
  "datasets add": ["--database", "crm", "--table", "person", "--key-columns", "id", "--column", "email=pii"],
  "datasets unprotect": ["--yes"],
  "datasets generation start": ["--column", "email_index_2"],
  "datasets generation drop": ["--yes"],
  "datasets shadow erase": ["--yes"],
  "kek rotate": ["--to", "main-2027"],
  "routes set": ["--default"],
  "principals set": ["--role", "admin"],
  "settings set": [],
  "audit export": ["--out", "audit.jsonl"],
  "audit archive": ["--until", "1d", "--out", "audit.jsonl"],
  "audit verify-certificate": ["--pinned-key", "audit.pem"],
};
const settingName: Readonly<Record<string, string>> = { "settings set": "refreshBound" };

function leavesBelow(command: Command, words: readonly string[]): [string, Command][] {
  return command.commands.flatMap((child): [string, Command][] => {
    const path = [...words, child.name()];
    return child.commands.length > 0 ? leavesBelow(child, path) : [[path.join(" "), child]];
  });
}

function wordsFor(path: string, command: Command): string[] {
  const args = command.registeredArguments.flatMap((argument) => {
    if (!argument.required) return [];
    const name = `<${argument.name()}>`;
    return [(name === "<name>" ? settingName[path] : undefined) ?? samples[name] ?? argument.name()];
  });
  return [...path.split(" "), ...args, ...(options[path] ?? [])];
}

/** What a command line fails with, and what it writes to stdout. */
async function failureOf(words: readonly string[]): Promise<string> {
  try {
    await buildProgram().parseAsync([...words, "--no-progress"], { from: "user" });
    return "nothing";
  } catch (error) {
    const cause: unknown = error instanceof HintedError ? error.cause : error;
    return cause instanceof Error && "code" in cause ? `${String(cause.code)}: ${cause.message}` : String(cause);
  }
}

/** Nobody listens at the address that commands are given. */
async function atNoServer(): Promise<{ readonly folder: string; readonly written: string[] }> {
  registerSecret(token);
  const folder = temporaryFolder();
  writeFileSync(join(folder, "lines.txt"), "x\n");
  const before = process.cwd();
  process.chdir(folder);
  vi.stubEnv("KEYSTEAD_ADDR", `http://127.0.0.1:${String(await freePort())}`);
  vi.stubEnv("KEYSTEAD_TOKEN", token);
  const written: string[] = [];
  const spy = vi.spyOn(process.stdout, "write").mockImplementation((chunk, ...more: unknown[]) => {
    written.push(String(chunk));
    for (const done of more) if (typeof done === "function") Reflect.apply(done, undefined, []);
    return true;
  });
  onTestFinished(() => {
    spy.mockRestore();
    vi.unstubAllEnvs();
    process.chdir(before);
    process.exitCode = undefined;
  });
  return { folder, written };
}

describe("every command", () => {
  const leaves = leavesBelow(buildProgram(), []);

  it("works on a server, or is named among those that can't", async () => {
    const { written } = await atNoServer();
    const asked: (readonly [string, string])[] = [];
    const kept = leaves.filter(([path]) => !Object.hasOwn(placelessCommands, path));
    for (let at = 0; at < kept.length; at += atOnce) {
      const some = kept.slice(at, at + atOnce);
      asked.push(...(await Promise.all(some.map(async ([path, command]) => [path, await failureOf(wordsFor(path, command))] as const))));
    }
    // What can't be opened is a finding of the doctor.
    expect(asked.filter(([path]) => path === "doctor")).toEqual([["doctor", "nothing"]]);
    expect(written.join("")).toContain("SERVER_UNREACHABLE");
    const others = asked.filter(([path]) => path !== "doctor");
    const reached = others
      .filter(([, failure]) => failure.startsWith("SERVER_UNREACHABLE: the server did not answer"))
      .map(([path]) => path);
    const refused = others.filter(([path]) => !reached.includes(path));
    expect(Object.fromEntries(refused)).toEqual(
      Object.fromEntries(
        Object.entries(localCommands).map(([path, reason]) => [
          path,
          `INVALID_ARGUMENT: \`keystead ${path}\` ${reason}, and KEYSTEAD_ADDR names a server; give --dir FOLDER to work on a data folder of this machine`,
        ]),
      ),
    );
    expect(reached.length).toBeGreaterThan(60);
  }, 60_000);

  it("that is named is one", () => {
    const paths = leaves.map(([path]) => path);
    for (const path of [...Object.keys(localCommands), ...Object.keys(placelessCommands)]) expect(paths).toContain(path);
  });

  it("works on a folder that --dir names, whatever KEYSTEAD_ADDR says", async () => {
    await atNoServer();
    expect(await failureOf(["--dir", "none", "keys", "list"])).toMatch(/^STORE_NOT_FOUND: there is no data folder at none/);
    expect(await failureOf(["serve", "--data", "none"])).toMatch(/^STORE_NOT_FOUND: there is no data folder at none/);
    vi.stubEnv("KEYSTEAD_ADDR", "");
    expect(await failureOf(["keys", "list"])).toMatch(/^STORE_NOT_FOUND/);
  });

  it.each([
    ["doctor --migrate", "--migrate changes the store"],
    ["doctor --accept-restored", "--accept-restored changes the store"],
    ["datasets protect crm --workers 2", "--workers starts processes"],
    ["jobs resume crm --problems left.jsonl", "--problems writes rows down"],
    ["datasets add crm --url sqlite:crm.db --database crm --table t --key-columns id --column a=b", "--url is recorded in keystead.json"],
    ["encrypt --key pii --file lines.txt", "a server takes values, by stdin or with --lines"],
  ])("refuses what only a data folder can: %s", async (line, text) => {
    await atNoServer();
    expect(await failureOf(line.split(" "))).toContain(`INVALID_ARGUMENT: ${text}`);
  });
});

describe("the way to a server", () => {
  const list = ["keys", "list"];

  it("needs one token, from a file of its own or the environment", async () => {
    const { folder } = await atNoServer();
    const file = join(folder, "token");
    vi.stubEnv("KEYSTEAD_TOKEN_FILE", file);
    expect(await failureOf(list)).toBe("INVALID_ARGUMENT: KEYSTEAD_TOKEN and KEYSTEAD_TOKEN_FILE are both set; keep one of them");
    vi.stubEnv("KEYSTEAD_TOKEN", "");
    expect(await failureOf(list)).toMatch(/^INVALID_ARGUMENT: the file of KEYSTEAD_TOKEN_FILE .* does not exist; write the token into it/);
    writeFileSync(file, `${token}\n`, { mode: 0o644 });
    expect(await failureOf(list)).toMatch(/^INSECURE_FILE: .*chmod 600/);
    writeFileSync(join(folder, "private"), `${token}\n`, { mode: 0o600 });
    vi.stubEnv("KEYSTEAD_TOKEN_FILE", join(folder, "private"));
    expect(await failureOf(list)).toMatch(/^SERVER_UNREACHABLE/);
    writeFileSync(join(folder, "large"), token.repeat(10_000), { mode: 0o600 });
    vi.stubEnv("KEYSTEAD_TOKEN_FILE", join(folder, "large"));
    expect(await failureOf(list)).toMatch(/^INVALID_ARGUMENT: .* is too large for a token/);
    vi.stubEnv("KEYSTEAD_TOKEN_FILE", "");
    expect(await failureOf(list)).toMatch(
      /^UNAUTHENTICATED: KEYSTEAD_ADDR names a server, and there is no token for it; write one into a file/,
    );
  });

  it("is no text that a header can't have, and no message shows it", async () => {
    await atNoServer();
    for (const bad of [`${token}\n${token}`, `${token}ü`, `${token} x`]) {
      vi.stubEnv("KEYSTEAD_TOKEN", bad);
      const failure = await failureOf(list);
      expect(failure).toMatch(/^INVALID_ARGUMENT: the token has characters that no token has/);
      expect(failure).not.toContain(token);
    }
  });

  it("is encrypted, but for this machine", async () => {
    await atNoServer();
    for (const [address, problem] of [
      ["http://keys.example.org", "without TLS anybody on the way reads the token"],
      ["https://anna:geheim@keys.example.org", "the server's address has no user, password"],
      ["keys.example.org", "the server's address is a URL that begins with"],
    ] as const) {
      vi.stubEnv("KEYSTEAD_ADDR", address);
      const failure = await failureOf(list);
      expect(failure).toContain(`INVALID_ARGUMENT: ${problem}`);
      expect(failure).not.toContain("geheim");
    }
  });

  it("takes files that hold what they should", async () => {
    const { folder } = await atNoServer();
    writeFileSync(join(folder, "ca.pem"), "no certificate");
    vi.stubEnv("KEYSTEAD_CACERT", join(folder, "ca.pem"));
    expect(await failureOf(list)).toMatch(/^INVALID_ARGUMENT: KEYSTEAD_CACERT .* holds no certificate/);
    vi.stubEnv("KEYSTEAD_CACERT", "");
    vi.stubEnv("KEYSTEAD_CLIENT_CERT", join(folder, "ca.pem"));
    expect(await failureOf(list)).toBe(
      "INVALID_ARGUMENT: KEYSTEAD_CLIENT_CERT and KEYSTEAD_CLIENT_KEY belong together; set both, or neither",
    );
  });
});
