import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { z } from "zod";
import { root } from "../../scripts/tools.ts";

const manifest = z.object({ allowScripts: z.record(z.string(), z.boolean()) });
const lock = z.object({ packages: z.record(z.string(), z.object({ hasInstallScript: z.boolean().default(false) })) });

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(join(root, file), "utf8"));
}

it("only packages that are installed and have an install script may run one", () => {
  const { allowScripts } = manifest.parse(readJson("package.json"));
  const { packages } = lock.parse(readJson("package-lock.json"));
  const scripted = Object.entries(packages)
    .filter(([, { hasInstallScript }]) => hasInstallScript)
    .map(([path]) => path.replace(/^.*node_modules\//, ""));
  expect(scripted).toEqual(expect.arrayContaining(Object.keys(allowScripts)));
});
