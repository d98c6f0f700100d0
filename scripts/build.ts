import { join } from "node:path";
import { buildPackage } from "./build-package.ts";
import { root } from "./tools.ts";

// npm run build [-- FOLDER]: compiles src/ into FOLDER, by default dist/.

try {
  buildPackage(process.argv[2] ?? join(root, "dist"));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
