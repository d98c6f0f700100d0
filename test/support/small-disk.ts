import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { mkdirSync } from "node:fs";
import { onTestFinished } from "vitest";
import { temporaryFolder } from "./test-keystead.ts";

/** A file system of a test's own. */
export interface SmallDisk {
  readonly path: string;
  /** Further options of the mount, as `ro`, `rw`, or `size=64m`. */
  readonly remount: (options: string) => void;
}

/** Why a test that needs a {@link mountSmallDisk} is skipped. */
export const needsMount = "needs the right to mount a file system";

/** Mounts a small file system in memory, removed after the test; undefined where this process may not. */
export function mountSmallDisk(size: string): SmallDisk | undefined {
  const path = join(temporaryFolder(), "disk");
  mkdirSync(path);
  const run = (...command: [string, ...string[]]): boolean => spawnSync(command[0], command.slice(1)).status === 0;
  if (process.getuid?.() !== 0 || !run("mount", "-t", "tmpfs", "-o", `size=${size},mode=0700`, "tmpfs", path)) return undefined;
  onTestFinished(() => {
    run("umount", "--lazy", path);
  });
  return {
    path,
    remount: (options) => {
      if (!run("mount", "-o", `remount,${options}`, path)) throw new Error(`the disk can't be remounted ${options}`);
    },
  };
}
