import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { skipExitCode } from "./run-steps.ts";
import { root } from "./tools.ts";

// Opens the golden files with the Python reader of docs/reader/, where Python is: nobody needs Keystead to get their data back.

const cryptographyVersion = "50.0.2";
const reader = join(root, "docs", "reader", "keystead_reader.py");
const goldenFiles = join(root, "test", "golden", "v1");
const cache = join(root, "node_modules", ".cache", "keystead");
const windows = process.platform === "win32";

class Skip extends Error {}

function run(command: string, args: readonly string[]): { readonly ok: boolean; readonly output: string } {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  return { ok: status === 0, output: `${error?.message ?? ""}${stdout}${stderr}`.trim() };
}

function findPython(): string {
  const found = (windows ? ["python", "py"] : ["python3", "python"]).find(
    (name) => run(name, ["-c", "import sys; assert sys.version_info >= (3, 9)"]).ok,
  );
  if (found === undefined) throw new Skip("there is no Python >= 3.9 on this machine");
  return found;
}

/** A Python that has the library: a virtual environment, made once and kept while the pinned version stays. */
function preparePython(): string {
  const environment = join(cache, `python-cryptography-${cryptographyVersion}`);
  const python = join(environment, windows ? "Scripts/python.exe" : "bin/python");
  const ready = join(environment, "ready");
  if (existsSync(ready)) return python;
  rmSync(environment, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  const made = run(findPython(), ["-m", "venv", environment]);
  if (!made.ok) throw new Skip(`Python can't make a virtual environment here: ${made.output}`);
  const installed = run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", `cryptography==${cryptographyVersion}`]);
  if (!installed.ok) throw new Skip(`pip can't install cryptography ${cryptographyVersion} here: ${installed.output}`);
  writeFileSync(ready, "");
  return python;
}

try {
  if (!existsSync(reader)) throw new Skip("docs/reader/keystead_reader.py is missing");
  const { ok, output } = run(preparePython(), [reader, goldenFiles]);
  process.stdout.write(`${output}\n`);
  process.exitCode = ok ? 0 : 1;
} catch (error) {
  if (!(error instanceof Skip)) throw error;
  process.stdout.write(`${error.message}\n`);
  process.exitCode = skipExitCode;
}
