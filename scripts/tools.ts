import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

/** The repository's root folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const packageSchema = z.object({
  name: z.string(),
  version: z.string(),
  files: z.array(z.string()).default([]),
  bin: z.union([z.string(), z.record(z.string(), z.string())]).optional(),
  exports: z.unknown().optional(),
  engines: z.object({ node: z.string().default("*") }).default({ node: "*" }),
});

/** What scripts read of a package.json. */
export type PackageManifest = z.infer<typeof packageSchema>;

/** Reads the package.json of a folder. */
export function readManifest(folder: string): PackageManifest {
  return packageSchema.parse(JSON.parse(readFileSync(join(folder, "package.json"), "utf8")));
}

/**
 * The file of an installed command line tool, to be run with this Node: what is on PATH may belong to another one.
 * @example spawn(process.execPath, [tool("typescript", "tsc"), "--noEmit"])
 */
export function tool(packageName: string, command = packageName): string {
  const folder = join(root, "node_modules", packageName);
  const { bin } = readManifest(folder);
  const file = typeof bin === "string" ? bin : bin?.[command];
  if (file === undefined) throw new Error(`the package ${packageName} has no command ${command}; run npm ci`);
  return join(folder, file);
}

/** Every file below a folder, sorted, as absolute paths. */
export function listFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
