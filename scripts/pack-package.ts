import { cpSync, existsSync, mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { buildPackage } from "./build-package.ts";
import { npm } from "./npm.ts";
import { readManifest, root } from "./tools.ts";

/** Files that npm packs without being told. */
const alwaysPacked = ["package.json", "README.md", "LICENSE"];

/** Path of the tarball that {@link packPackage} makes in a folder. */
export function tarballIn(folder: string): string {
  const { name, version } = readManifest(root);
  return join(folder, `${name}-${version}.tgz`);
}

/**
 * Builds and packs the package as `npm pack` does, but in a folder of its own, so that nobody who works in the tree is disturbed.
 * @returns the path of the tarball
 * @throws Error with the messages of the compiler or npm, or naming a file that package.json promises and that is missing
 */
export function packPackage(folder: string): string {
  const staging = join(folder, "package");
  mkdirSync(staging, { recursive: true });
  const { files } = readManifest(root);
  const isLeftOut = (path: string): boolean => files.includes(`!${relative(root, path)}`);
  for (const file of [...alwaysPacked, ...files]) {
    if (file === "dist" || file.startsWith("!")) continue;
    if (!existsSync(join(root, file))) throw new Error(`${file} belongs to the package and is missing`);
    cpSync(join(root, file), join(staging, file), { recursive: true, filter: (path) => !isLeftOut(path) });
  }
  buildPackage(join(staging, "dist"));
  npm(["pack", "--ignore-scripts", "--pack-destination", folder], staging);
  return tarballIn(folder);
}
