import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished } from "vitest";
import { welcomeText } from "../../src/cli/serve/welcome.ts";
import { registerSecret } from "../setup/canary.ts";
import { watchChild, watchedEnvironment } from "../setup/watched-child.ts";
import { blocksOf, commandsOf, flags, masked, type Place, prepareFolder, programOf, run } from "./support/blocks.ts";

/** Starts `keystead serve`; ended after the test. @returns its lines, and the first ones up to one that fits */
async function serve({ folder, path }: Place, args: readonly string[], last: RegExp): Promise<string> {
  const env = watchedEnvironment({ PATH: path, NO_COLOR: "1" });
  const child: ChildProcess = watchChild(spawn("keystead", ["serve", ...args], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] }));
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  });
  let said = "";
  if (child.stdout === null) return said;
  child.stderr?.resume();
  for await (const line of createInterface({ input: child.stdout })) {
    said += `${line}\n`;
    if (last.test(line)) return said;
  }
  throw new Error(`it did not serve: ${said}`);
}

function has(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, program)));
}

describe("docs/server.md", () => {
  it("shows what `npm start` prints on a terminal", () => {
    const [start] = blocksOf("docs/server.md");
    const welcome = welcomeText({
      url: "http://127.0.0.1:8400",
      folder: "./keystead-data",
      workers: 1,
      token: { kind: "shown", token: "kst_…" },
      isSecure: false,
    });
    expect(start?.text).toBe(`$ npm start\n${welcome}`);
  });

  it("and the server print commands that work as they stand", { timeout: 60_000 }, async () => {
    const place = prepareFolder();
    const said = await serve(place, ["--init", "--port", "0", "--token-file", "first token"], /\/v1\/encrypt$/);
    registerSecret(readFileSync(join(place.folder, "first token"), "utf8").trim());
    const commands = said.split("\n").filter((line) => line.startsWith("  "));
    expect(commands.map((line) => line.trim().split(" ")[0])).toEqual(["export", "curl", "curl", "curl"]);
    if (!has("curl")) return void process.stdout.write("curl is not installed: the commands that are printed were not run\n");
    const { status, stdout } = run("sh", ["-c", commands.join("; echo;")], place);
    expect(status).toBe(0);
    const [, ready, key, sealed] = stdout.split("\n").map((line): unknown => (line === "" ? undefined : JSON.parse(line)));
    expect([ready, key, sealed]).toMatchObject([{ ready: true }, { name: "pii-email" }, { key: "pii-email", version: 1 }]);
  });
});

describe("docs/client.md", () => {
  it("does what its code blocks say, on a server", { timeout: 120_000 }, async () => {
    const blocks = blocksOf("docs/client.md");
    const place = prepareFolder();
    const command = (line: string): string => {
      const { status, stdout, stderr } = run("sh", ["-c", line], place);
      expect({ line, status, stderr: status === 0 ? "" : stderr }).toEqual({ line, status: 0, stderr: "" });
      return stdout;
    };
    command("keystead init");
    command("keystead keys create pii-email --purpose pii");
    for (const block of blocks.filter(({ language }) => language === "console"))
      for (const { command: line, output } of commandsOf(block.text)) {
        const stdout = command(line);
        if (output.trim() !== "") expect(masked(stdout), line).toBe(masked(output));
      }
    const roles = ["admin", "key-admin", "encryptor", "decryptor", "import"].map((role) => `--role ${role}`).join(" ");
    command(`keystead tokens create page ${roles} --out token`);
    const token = readFileSync(join(place.folder, "token"), "utf8").trim();
    registerSecret(token);
    const ready: unknown = JSON.parse(await serve(place, ["--json", "--port", "0"], /"url"/));
    const { url } = ready as { readonly url: string };
    // Blocks that import nothing go on with what the one before them that does has made.
    let [begin, said] = ["", ""];
    const programs = blocks.filter(({ language }) => language === "ts");
    expect(programs.length).toBeGreaterThan(1);
    for (const block of programs) {
      const next = blocks[blocks.indexOf(block) + 1];
      const shown = next?.language === "text" ? next.text : "";
      const begins = block.text.includes("import ");
      const text = begins ? block.text : `${begin}{\n${block.text}}\n`;
      writeFileSync(join(place.folder, "program.ts"), programOf(text).replaceAll("https://keys.example.org", url));
      const { status, stdout, stderr } = run(process.execPath, [...flags, "program.ts"], place, { KEYSTEAD_TOKEN: token });
      const where = `docs/client.md:${String(block.line)}`;
      expect({ where, status, stderr }).toEqual({ where, status: 0, stderr: "" });
      expect(masked(stdout), where).toBe(masked(begins ? shown : said + shown));
      if (begins) [begin, said] = [block.text, shown];
    }
  });
});
