import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Why nothing of PyPI can be installed on this machine, with the remedy; undefined when it can. */
export function missingForPython(what: string): string | undefined {
  const { status } = spawnSync("python3", ["-c", "import ensurepip, venv, sys; assert sys.version_info >= (3, 10)"]);
  return status === 0 ? undefined : `${what} comes by PyPI: install Debian's packages python3 and python3-venv (Python 3.10 or newer)`;
}

/**
 * A Python with packages of PyPI, which pip fetches the first time. It is kept in the user's cache folder.
 * @param requirements - file that names every package with its version
 */
export function pythonWith(name: string, requirements: string): string {
  const digest = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 12);
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "keystead-test");
  const home = join(cache, `${name}-${digest}`);
  if (!existsSync(home)) {
    mkdirSync(cache, { recursive: true });
    // What is installed comes to its place in one step, also when another run does the same.
    const folder = mkdtempSync(join(cache, "installing-"));
    try {
      run("python3", ["-m", "venv", folder]);
      run(pythonOf(folder), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements]);
      renameSync(folder, home);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return pythonOf(home);
}

/** A virtual environment that was moved still works by its interpreter, not by its commands. */
function pythonOf(home: string): string {
  return join(home, "bin", "python");
}

function run(command: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`packages of PyPI can't be installed: ${stdout}${stderr}`);
}
