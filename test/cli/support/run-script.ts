import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect } from "vitest";
import { canaries } from "../../setup/canary.ts";
import { registerMasterKeys } from "../../setup/master-keys.ts";
import { type CommandResult, runCommandLine } from "./command-line.ts";
import { parseScript, type ScriptLine } from "./script.ts";

/** Commands whose purpose is to show plaintext, or a key. */
const plaintextCommand = /^(?:decrypt|reveal|datasets find|data-keys|random)\b/;

/** Commands whose stdout may be bytes as they are: everything else prints whole lines. */
const dataCommand = /^(?:encrypt|decrypt|reveal|rewrap|data-keys|random)\b/;

/** Runs one script in a folder of its own. Canaries are there as `${EMAIL}`, `${PHONE}`, `${NAME}`, `${DIAGNOSIS}`; so is the environment. */
export async function runScript(name: string, text: string, folder: string, env: Readonly<Record<string, string>>): Promise<void> {
  const run = new ScriptRun(name, folder, env);
  for (const line of parseScript(text)) await run.line(line);
}

class ScriptRun {
  readonly #name: string;
  readonly #folder: string;
  readonly #variables: Map<string, string>;
  readonly #env: Map<string, string>;
  #last: { readonly stdout: string; readonly stderr: string } = { stdout: "", stderr: "" };

  constructor(name: string, folder: string, env: Readonly<Record<string, string>>) {
    this.#name = name;
    this.#folder = folder;
    this.#variables = new Map([
      ...Object.entries(canaries).map(([canary, { text }]) => [canary.toUpperCase(), text] as const),
      ["FOLDER", folder],
      ...Object.entries(env),
    ]);
    this.#env = new Map(Object.entries({ PATH: process.env["PATH"] ?? "", ...env }));
  }

  async line(line: ScriptLine): Promise<void> {
    const [verb = "", ...words] = line.words.map((word) => this.#expand(word));
    const place = `${this.#name}:${line.number}: ${line.source}`;
    const verbs: Readonly<Record<string, () => Promise<void> | void>> = {
      keystead: () => this.#keystead(words, line, { code: 0, place }),
      exit: () => this.#keystead(words.slice(2), line, { code: Number(words[0]), place }),
      interrupt: () => this.#keystead(words.slice(3), line, { code: Number(words[1]), place, interruptAt: new RegExp(words[0] ?? "") }),
      stdout: () => this.#match("stdout", words[0] ?? "", line, place),
      stderr: () => this.#match("stderr", words[0] ?? "", line, place),
      let: () => this.#let(words[0] ?? "", words[1] ?? "", place),
      env: () => this.#setEnvironment(words[0] ?? "", words[1]),
      file: () => writeFileSync(this.#path(words[0]), this.#expand(line.text ?? "")),
      bytes: () => writeFileSync(this.#path(words[0]), (words[1] ?? "").replaceAll("\\r", "\r").replaceAll("\\n", "\n")),
      sql: () => this.#sql(words[0], words[1] ?? ""),
      cut: () => writeFileSync(this.#path(words[2]), readFileSync(this.#path(words[0])).subarray(0, Number(words[1]))),
      remove: () => rmSync(this.#path(words[0])),
      chmod: () => chmodSync(this.#path(words[1]), Number.parseInt(words[0] ?? "", 8)),
      mode: () => expect((statSync(this.#path(words[1])).mode & 0o777).toString(8).padStart(4, "0"), place).toBe(words[0]),
      same: () => expect(readFileSync(this.#path(words[0])).equals(readFileSync(this.#path(words[1]))), place).toBe(true),
      exists: () => expect(existsSync(this.#path(words[0])), place).toBe(!line.negated),
    };
    const act = verbs[verb];
    if (act === undefined) throw new Error(`${place}: unknown verb`);
    await act();
  }

  async #keystead(
    words: readonly string[],
    line: ScriptLine,
    { code, place, interruptAt }: { readonly code: number; readonly place: string; readonly interruptAt?: RegExp },
  ): Promise<void> {
    const { args, input, output } = redirections(words);
    const stdin = input === undefined ? Buffer.from(this.#expand(line.text ?? "")) : readFileSync(this.#path(input));
    const env = Object.fromEntries(this.#env);
    const command = args.filter((arg) => !arg.startsWith("-")).join(" ");
    const showsPlaintext = plaintextCommand.test(command);
    const settings = { cwd: this.#folder, env, stdin, showsPlaintext, ...(interruptAt !== undefined && { interruptAt }) };
    const result = await runCommandLine(args, settings);
    // Now: the script may remove them.
    registerMasterKeys(this.#folder);
    if (output !== undefined) writeFileSync(this.#path(output), result.stdout);
    this.#last = { stdout: result.stdout.toString("utf8"), stderr: result.stderr };
    this.#assertNoPlaintext(showsPlaintext, result, place);
    if (!dataCommand.test(command) && this.#last.stdout !== "")
      expect(this.#last.stdout.endsWith("\n"), `${place}: its last line has no end`).toBe(true);
    expect(result.code, `${place}\n${this.#last.stdout}${result.stderr}`).toBe(code);
  }

  #assertNoPlaintext(showsPlaintext: boolean, { stdout, stderr }: CommandResult, place: string): void {
    for (const output of showsPlaintext ? [stderr] : [stderr, stdout.toString("utf8")]) {
      for (const [name, { text }] of Object.entries(canaries))
        expect(output.includes(text), `${place}: shows the canary ${name}`).toBe(false);
    }
  }

  #match(stream: "stdout" | "stderr", pattern: string, { negated }: ScriptLine, place: string): void {
    const text = this.#last[stream];
    expect(new RegExp(pattern, "mu").test(text), `${place}\n${text}`).toBe(!negated);
  }

  #let(name: string, pattern: string, place: string): void {
    const [, found] = new RegExp(pattern, "mu").exec(this.#last.stdout) ?? [];
    expect(found, `${place}\n${this.#last.stdout}`).toBeDefined();
    this.#variables.set(name, found ?? "");
  }

  #setEnvironment(name: string, value: string | undefined): void {
    if (value === undefined) this.#env.delete(name);
    else this.#env.set(name, value);
  }

  #sql(file: string | undefined, statement: string): void {
    const database = new DatabaseSync(this.#path(file));
    try {
      if (!/^(?:select|pragma \w+$)/i.test(statement)) {
        database.exec(statement);
        return;
      }
      const rows = database.prepare(statement).all();
      this.#last = { stdout: rows.map((row) => `${Object.values(row).join("|")}\n`).join(""), stderr: "" };
    } finally {
      database.close();
    }
  }

  #path(name = ""): string {
    return join(this.#folder, name);
  }

  #expand(text: string): string {
    return text.replaceAll(/\$\{(\w+)\}/g, (whole, name: string) => this.#variables.get(name) ?? whole);
  }
}

function redirections(words: readonly string[]): { readonly args: readonly string[]; readonly input?: string; readonly output?: string } {
  const at = words.findIndex((word) => word === "<" || word === ">");
  if (at === -1) return { args: words };
  const [operator, file = "", ...more] = words.slice(at);
  const rest = redirections([...words.slice(0, at), ...more]);
  return { ...rest, ...(operator === "<" ? { input: file } : { output: file }) };
}
