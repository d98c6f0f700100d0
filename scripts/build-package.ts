import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, tool } from "./tools.ts";

const shebang = "#!/usr/bin/env node\n";

/**
 * Compiles src/ into a folder, JavaScript and declarations, and makes the command line tool executable.
 * @throws Error with the compiler's messages
 */
export function buildPackage(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  const args = [tool("typescript", "tsc"), "-p", "tsconfig.build.json", "--outDir", folder];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`the compiler failed\n${stdout}${stderr}`);
  const main = join(folder, "cli", "main.js");
  if (!existsSync(main)) throw new Error("src/cli/main.ts is missing: the package's command would not work");
  const text = readFileSync(main, "utf8");
  if (!text.startsWith("#!")) writeFileSync(main, shebang + text);
  chmodSync(main, 0o755);
}
