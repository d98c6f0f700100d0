import { packPackage } from "./pack-package.ts";

// Builds and packs the package into the folder given.

const [folder] = process.argv.slice(2);
try {
  if (folder === undefined) throw new Error("usage: scripts/pack.ts FOLDER");
  process.stdout.write(`${packPackage(folder)}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
