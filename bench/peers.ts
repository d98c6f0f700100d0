import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Installs the libraries that are measured against, from the benchmarks' own lock file, when they are missing. */
export function installPeers(): void {
  const folder = import.meta.dirname;
  if (existsSync(join(folder, "node_modules", "@aws-crypto", "client-node"))) return;
  const installed = spawnSync("npm", ["ci"], { cwd: folder, stdio: ["ignore", 2, 2] });
  if (installed.status !== 0) throw new Error("the libraries to measure against could not be installed; run `npm ci` in bench/");
}

/** A function of a library that is loaded on use, so that the rest of the project compiles without it. */
export type PeerFunction = (...args: unknown[]) => unknown;

/** Loads a library and gives its functions (and classes) by name. */
export async function loadPeer(name: string): Promise<(member: string) => PeerFunction> {
  const loaded: unknown = await import(name);
  return (member) => {
    const found: unknown = typeof loaded === "object" && loaded !== null ? Reflect.get(loaded, member) : undefined;
    if (!isFunction(found)) throw new Error(`${name} has no ${member}`);
    return found;
  };
}

/** Loads a library and gives its constants by name. */
export async function loadConstants(name: string): Promise<(member: string) => unknown> {
  const loaded: unknown = await import(name);
  return (member) => {
    const found: unknown = typeof loaded === "object" && loaded !== null ? Reflect.get(loaded, member) : undefined;
    return found;
  };
}

function isFunction(value: unknown): value is PeerFunction {
  return typeof value === "function";
}
