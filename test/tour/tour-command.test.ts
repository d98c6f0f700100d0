import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { npm } from "../../scripts/npm.ts";
import { registerMasterKeys } from "../setup/master-keys.ts";
import { watchChild, watchedEnvironment } from "../setup/watched-child.ts";
import { csvFile, temporaryFolder } from "./support/temporary.ts";

const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly folder: string;
}

/** Runs the command in a process of its own, whose temporary folder is `folder`. */
async function run(
  args: readonly string[],
  watch: (child: { readonly kill: (name: NodeJS.Signals) => void; readonly folder: string }) => Promise<void> = async () => undefined,
): Promise<Ended> {
  const folder = temporaryFolder();
  const env = watchedEnvironment({ ...process.env, TMPDIR: folder, NO_COLOR: "1", npm_lifecycle_event: undefined });
  const started = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", main, "tour", ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const child = watchChild(started);
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  const closed = new Promise<number | null>((resolve) => {
    child.on("close", resolve);
  });
  await watch({ kill: (name) => void child.kill(name), folder });
  return { code: await closed, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString(), folder };
}

/** Files of the application's table, of which there may be some already. */
function tables(folder: string): string[] {
  return readdirSync(folder).filter((name) => existsSync(`${folder}/${name}/sample.db`));
}

/** What differs from run to run: values searched for, labels of versions, numbers and times. */
function masked(text: string): string {
  return text
    .replaceAll(/“[^”]*”/g, "“…”")
    .replaceAll(/\b(\d+)-[a-z2-7]{6}\b/g, "$1-······")
    .replaceAll(/ \([\d.]+ s(?:, [\d,]+ rows\/s)?\)$/gm, " (time)")
    .replaceAll(/ in [\d.,]+ (?:ms|s)$/gm, " in (time)")
    .replaceAll(/: [\d,]+ of [\d,]+ rows/g, ": N of N rows")
    .replaceAll(/(?<![-\w])\d[\d,]*(?= values)/g, "N");
}

describe("keystead tour", () => {
  it("tells its story on stdout and leaves nothing behind", async () => {
    const { code, stdout, stderr, folder } = await run(["--rows", "50"]);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    expect(stdout).toMatch(/50 invented persons/);
    expect(stdout).toMatch(/opened again without a loss; 3 old key versions destroyed/);
    expect(stripVTControlCharacters(stdout)).toBe(stdout);
    // The README shows a part of a longer one.
    const [, shown = ""] = /^```text\n(✓[^]*?)^```$/m.exec(readFileSync("README.md", "utf8")) ?? [];
    const told = masked(stdout).split("\n");
    let at = 0;
    for (const line of masked(shown).trimEnd().split("\n")) {
      at = told.indexOf(line, at) + 1;
      expect(at, `README.md shows a line that the tour does not tell, or not there:\n${line}\n${told.join("\n")}`).toBeGreaterThan(0);
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  it("prints one object and nothing else on stdout with --json", async () => {
    const { code, stdout, stderr } = await run(["--rows", "50", "--json"]);
    expect(code).toBe(0);
    expect(stdout.trimEnd().split("\n")).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({
      source: "generated",
      rows: 50,
      census: { before: {}, after: {} },
      refusal: { code: "VERSION_IN_USE" },
      audit: { findings: [] },
      verified: { rows: 50 },
    });
    expect(stderr).toContain("✓ protect");
  });

  it("prints one object and nothing else as the documents call it from a checkout", async () => {
    const [, command = ""] = /`(npm run -s tour -- --json) \|/.exec(readFileSync("README.md", "utf8")) ?? [];
    expect((await run(["--help"])).stdout).toContain(`$ ${command}\n`);
    const [, ...args] = command.split(" ");
    expect(JSON.parse(npm([...args, "--rows", "20"], "."))).toMatchObject({ rows: 20, verified: { rows: 20 } });
  });

  it("says what to try with what it leaves behind", async () => {
    const keep = `${temporaryFolder()}/it's kept`;
    const { code, stdout } = await run(["--rows", "20", "--keep", keep]);
    expect(code).toBe(0);
    expect(stdout).toContain(`  keystead --dir '${keep.replace("'", String.raw`'\''`)}' datasets census person\n`);
    expect(stdout).toContain("datasets find person surname_sound Meyer\n");
    const again = await run(["--keep", keep]);
    expect(again).toMatchObject({ code: 6, stdout: "" });
    expect(again.stderr).toContain("is not empty");
  });

  it.each([
    [["--rows", "0"], /whole number from 1/],
    [["--rows", "1e3"], /whole number from 1/],
    [["--columns", "a"], /give it with --csv/],
    [["--csv", "absent.csv", "--rows", "5"], /--rows is for made-up persons/],
    [["--csv", "absent.csv"], /can't be read/],
  ])("refuses %j as wrong usage", async (args, words) => {
    const { code, stdout, stderr, folder } = await run(args);
    expect(stderr).toMatch(words);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("refuses a CSV file that is none", async () => {
    const { code, stdout, stderr } = await run(["--csv", csvFile("")]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("it is empty");
  });

  it.each([
    ["SIGINT", 12],
    ["SIGTERM", 12],
    ["SIGHUP", 129],
  ] as const)("ends by %s and leaves nothing behind", async (name, exitCode) => {
    const { code, stderr, folder } = await run(["--rows", "20000"], async ({ kill, folder: temporary }) => {
      await vi.waitUntil(() => tables(temporary).length > 0, { timeout: 20_000 });
      registerMasterKeys(temporary);
      kill(name);
    });
    expect(code).toBe(exitCode);
    expect(stderr).toBe(exitCode === 12 ? "keystead: stopped\n" : "");
    expect(readdirSync(folder)).toEqual([]);
  });
});
