// Installs the dependencies when they are missing or stale, once, however many commands start at the same moment.
// Plain JavaScript for Node >= 20, without dependencies: it runs before there are any. Writes to stderr only.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { withInstallLock } from "./install-lock.mjs";

/** A failure whose message is all that the user needs. */
export class SetupError extends Error {}

/** The repository's root. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const modules = join(root, "node_modules");
const stampFile = join(modules, ".keystead-installed");
const packagedNode = join(modules, "node", "bin", process.platform === "win32" ? "node.exe" : "node");
const requiredNode = { major: 24, minor: 7 };

function say(text) {
  process.stderr.write(`keystead: ${text}\n`);
}

function suits(version) {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  return major > requiredNode.major || (major === requiredNode.major && minor >= requiredNode.minor);
}

/** The Node to run scripts with: this one when it is new enough, else that of the npm package `node`. */
export function findNode() {
  if (suits(process.version)) return process.execPath;
  if (existsSync(packagedNode)) return packagedNode;
  throw new SetupError(
    `this is Node ${process.version}, Keystead needs >= ${requiredNode.major}.${requiredNode.minor}, and the npm package "node" that brings one ` +
      `was installed without its install script; allow it (npm rebuild node --ignore-scripts=false), or use a newer Node`,
  );
}

function checkNode() {
  const node = findNode();
  if (node === process.execPath) return;
  const { stdout, error, status } = spawnSync(node, ["--version"], { encoding: "utf8" });
  if (error === undefined && status === 0 && suits(stdout.trim())) return;
  const what = error?.message ?? (status === 0 ? `it is ${stdout.trim()}` : `exit code ${status}`);
  throw new SetupError(
    `the Node of the npm package "node" does not work on this machine (${what}); install Node >= ${requiredNode.major}.${requiredNode.minor}`,
  );
}

/** What a finished installation of the committed lock on this platform looks like. */
function wantedStamp() {
  const hash = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  return `${hash} ${process.platform}-${process.arch}\n`;
}

/** The stamp is written last, so an interrupted installation has none. */
function isFresh(stamp) {
  try {
    return readFileSync(stampFile, "utf8") === stamp;
  } catch {
    return false;
  }
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return undefined;
  }
}

/** True when npm itself finished an installation of exactly this lock: it writes its own record last, too. */
function isInstalledByHand() {
  const wanted = readPackages(join(root, "package-lock.json"));
  const installed = readPackages(join(modules, ".package-lock.json"));
  if (wanted === undefined || installed === undefined) return false;
  const same = (a, b) => a.version === b.version && a.integrity === b.integrity;
  return (
    Object.entries(wanted).every(
      ([path, entry]) => path === "" || (installed[path] ? same(installed[path], entry) : entry.optional === true),
    ) && Object.keys(installed).every((path) => path in wanted)
  );
}

/** Command of the npm that called, with the Node that runs it: npm from PATH may be another one. */
function npmCommand() {
  const cli = process.env.npm_execpath;
  if (cli !== undefined && /npm-cli\.[cm]?js$/.test(cli)) return [process.env.npm_node_execpath ?? process.execPath, [cli], false];
  return ["npm", [], process.platform === "win32"];
}

async function npmCi(lock) {
  const [command, prefix, shell] = npmCommand();
  const args = [...prefix, "ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", process.stderr, process.stderr], shell });
  if (child.pid !== undefined) lock.addOwner(child.pid);
  const stop = (signal) => child.kill(signal);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, stop);
  const outcome = await new Promise((settle) => {
    child.once("error", (error) => settle(error.message));
    child.once("exit", (code, signal) => settle(code === 0 ? undefined : (signal ?? `exit code ${code}`)));
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.off(signal, stop);
  if (outcome !== undefined) throw new SetupError(`npm ci failed (${outcome}); its messages are above`);
}

/** Resolves when node_modules holds what package-lock.json asks for. */
export async function ensureInstalled() {
  const stamp = wantedStamp();
  if (isFresh(stamp)) return;
  await withInstallLock(join(root, ".keystead-install.lock"), say, async (lock) => {
    if (isFresh(stamp)) return;
    if (!isInstalledByHand()) {
      say(`${existsSync(modules) ? "dependencies changed" : "first run"}: installing dependencies (npm ci), this can take a minute or two`);
      const started = performance.now();
      rmSync(stampFile, { force: true });
      await npmCi(lock);
      say(`dependencies installed in ${Math.round((performance.now() - started) / 1000)} s`);
    }
    checkNode();
    mkdirSync(modules, { recursive: true });
    writeFileSync(stampFile, stamp);
  });
}
