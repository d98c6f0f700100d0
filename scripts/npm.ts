import { spawnSync } from "node:child_process";

/** The npm that called, run with this Node, or else the one on PATH. */
function npmCommand(): { readonly command: string; readonly prefix: readonly string[]; readonly shell: boolean } {
  const cli = process.env["npm_execpath"];
  if (cli !== undefined && /npm-cli\.[cm]?js$/.test(cli)) return { command: process.execPath, prefix: [cli], shell: false };
  return { command: "npm", prefix: [], shell: process.platform === "win32" };
}

/**
 * Runs npm in a folder and returns what it printed.
 * @throws Error with npm's messages
 */
export function npm(args: readonly string[], cwd: string): string {
  const { command, prefix, shell } = npmCommand();
  // What an outer npm run says about its own package must not reach this one.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(package|lifecycle|config_local_prefix)/.test(name)),
  );
  const { status, stdout, stderr, error } = spawnSync(command, [...prefix, ...args], { cwd, env, encoding: "utf8", shell });
  if (status !== 0) throw new Error(`npm ${args.join(" ")} failed\n${error?.message ?? ""}${stdout}${stderr}`);
  return stdout;
}
