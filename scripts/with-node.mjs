// Runs a script of this repository with the Node it needs, after installing the dependencies when they are missing or stale.
//
//   node scripts/with-node.mjs [--caller-cwd] SCRIPT [ARGS...]
//
// Plain JavaScript for Node >= 20: everything else here may use Node >= 24.7. `--caller-cwd` starts SCRIPT in the folder from
// which npm was called, so that relative paths in ARGS mean what the caller typed; otherwise it starts in the repository's root.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { resolve } from "node:path";
import process from "node:process";
import { ensureInstalled, findNode, root, SetupError } from "./install.mjs";

/** Where the caller stood: npm moves to the root and keeps the original folder in INIT_CWD. */
function callerDirectory() {
  return process.cwd() === root ? (process.env.INIT_CWD ?? root) : process.cwd();
}

/** Signals that a terminal sends to the whole process group: the child has them already, a second one would mean "now!". */
const terminalSignals = new Set(["SIGINT", "SIGQUIT"]);
const forwardedSignals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2"];

function run(node, args, cwd) {
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  const child = spawn(node, ["--disable-warning=ExperimentalWarning", ...args], { cwd, stdio: "inherit" });
  for (const signal of forwardedSignals) {
    if (process.platform === "win32" && !(signal in constants.signals)) continue;
    process.on(signal, () => {
      if (!(onTerminal && terminalSignals.has(signal))) child.kill(signal);
    });
  }
  return new Promise((settle, reject) => {
    child.once("error", (cause) => {
      reject(new SetupError(`${node} does not start (${cause.message}); delete node_modules and try again, or use Node >= 24.7`));
    });
    child.once("exit", (code, signal) => {
      settle({ code, signal });
    });
  });
}

async function main() {
  const args = process.argv.slice(2);
  const callerCwd = args[0] === "--caller-cwd";
  if (callerCwd) args.shift();
  const [script, ...rest] = args;
  if (script === undefined) throw new SetupError("usage: node scripts/with-node.mjs [--caller-cwd] SCRIPT [ARGS...]");
  await ensureInstalled();
  const { code, signal } = await run(findNode(), [resolve(root, script), ...rest], callerCwd ? callerDirectory() : root);
  if (signal === null) {
    process.exitCode = code;
    return;
  }
  for (const name of forwardedSignals) process.removeAllListeners(name);
  process.kill(process.pid, signal);
}

main().catch((error) => {
  process.stderr.write(`keystead: ${error instanceof SetupError ? error.message : String(error?.stack ?? error)}\n`);
  process.exitCode = 1;
});
